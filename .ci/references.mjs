// Links and wording of the pages, and what comments and pages name of this repository: decision records, files and folders.
// Each finding is [line, rule, text].
import { basename, posix } from 'node:path';

const PAGE = /\.md$/;
const SLASH_COMMENTS = /\.(?:[mc]?[jt]s|c|json)$/;
const HASH_COMMENTS = /\.(?:ya?ml|conf|sh|py|example)$|(?:^|\/)(?:Dockerfile|run|\.gitignore|\.npmrc)$/;

/** The changelog names what was; the settings of tools are read where they are. */
const READ = /^(?:libs|src|test|config|docs)\/|^(?!CHANGELOG)[A-Z]+\.md$|^docker-compose/;

const RECORD = /\bADR (\d{4})\b|\bdocs\/adr\/(\d{4})/g;
const NAMED_PATH = /(?<![\w./@:$-])(?:docs|test|libs|src|config)\/[\w./-]*\w/g;
/** A page by its name alone; in capitals also without its ending, before the number of a section. */
const NAMED_PAGE = /(?<![\w./<>*-])[\w-]+\.md\b|\b(?:DESIGN|GUIDE|HOUSE|STYLE)(?= \d)/g;
/** Pronouns that leave open who acts, and words of this project alone. */
const WORDING = /\b(?:somebody|nobody|whoever|anybody|everybody|bur(?:y|ies|ied)|looked at|what is promised)\b/i;
const LINK = /\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]*))?\)/g;

/** Without code blocks, and without `code` where `inline` is false; lines stay where they are. */
function proseOf(lines, inline) {
  let fence = false;
  return lines.map((line) => {
    if (/^\s*```/.test(line)) fence = !fence;
    else if (!fence) return inline ? line : line.replaceAll(/`[^`]*`/g, '``');
    return '';
  });
}

/** Anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text) {
  const anchors = new Set();
  for (const line of proseOf(text.split('\n'), true)) {
    const heading = /^#{1,6}\s+(.+?)\s*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${slug}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What a line of code says to its readers. */
function commentOf(path, line) {
  if (SLASH_COMMENTS.test(path)) return /(?:^|\s)\/\/.*|^\s*\/?\*.*/.exec(line)?.[0] ?? '';
  return /(?:^|\s)#.*/.exec(line)?.[0] ?? '';
}

/** What the project has: files, folders, headings and decision records. */
class Inventory {
  #anchors = new Map();
  #folders = new Set();

  constructor(texts, paths) {
    this.texts = texts;
    this.paths = paths;
    this.files = new Set(paths);
    this.names = new Set(paths.map((path) => basename(path)));
    this.records = new Set(paths.filter((path) => /^docs\/adr\/\d{4}-/.test(path)).map((path) => basename(path).slice(0, 4)));
    for (const path of paths) for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) this.#folders.add(at);
  }

  has(path) {
    return this.files.has(path) || this.#folders.has(path);
  }

  /** `test/cli/session` of a command and `docs/adr/0011` of a comment are shortened. */
  hasShortened(path) {
    return this.has(path) || this.paths.some((file) => file.startsWith(path) && /^[.-]/.test(file.slice(path.length)));
  }

  hasAnchor(path, anchor) {
    if (!this.#anchors.has(path)) this.#anchors.set(path, anchorsOf(this.texts.get(path) ?? ''));
    return this.#anchors.get(path).has(anchor);
  }
}

function linkProblems(project, path, lines) {
  const findings = [];
  for (const [index, line] of proseOf(lines, false).entries()) {
    for (const [, target = '', anchor] of line.matchAll(LINK)) {
      const page = target === '' ? path : posix.join(posix.dirname(path), target).replace(/\/$/, '');
      if (!project.has(page)) findings.push([index + 1, 'link', `${target} does not exist`]);
      else if (anchor !== undefined && !project.hasAnchor(page, anchor))
        findings.push([index + 1, 'anchor', `${page} has no heading #${anchor}`]);
    }
  }
  return findings;
}

function wordingProblems(lines) {
  return proseOf(lines, false).flatMap((line, index) => {
    const [word] = WORDING.exec(line) ?? [];
    return word === undefined ? [] : [[index + 1, 'wording', `say who does what, not "${word}"`]];
  });
}

function nameProblems(project, path, lines, isPage) {
  const findings = [];
  for (const [index, line] of lines.entries()) {
    const told = isPage ? line : commentOf(path, line);
    // What a program says to its users may name a page, too.
    const said = /^(?:libs|src)\//.test(path) ? line : told;
    for (const [named, byNumber, byPath] of said.matchAll(RECORD)) {
      if (!project.records.has(byNumber ?? byPath)) findings.push([index + 1, 'record', `there is no ${named}`]);
    }
    for (const [name] of isPage ? [] : told.matchAll(NAMED_PAGE)) {
      if (!project.names.has(name)) findings.push([index + 1, 'page', `there is no page ${name}`]);
    }
    for (const [name] of said.matchAll(NAMED_PATH)) {
      const counts = told.includes(name) || name.startsWith('docs/');
      if (counts && !/^docs\/adr\/\d{4}$/.test(name) && !project.hasShortened(name)) {
        findings.push([index + 1, 'path', `${name} does not exist`]);
      }
    }
  }
  return findings;
}

/**
 * Returns a function that tells what is wrong with the references of a file.
 * @param {ReadonlyMap<string, string>} texts text files of the project, by path
 * @param {readonly string[]} paths all files of the project
 */
export function referencesOf(texts, paths) {
  const project = new Inventory(texts, paths);
  return (path) => {
    const lines = texts.get(path)?.split('\n') ?? [];
    const isPage = PAGE.test(path);
    const isRead = READ.test(path) && (isPage || SLASH_COMMENTS.test(path) || HASH_COMMENTS.test(path));
    const ofPage = isPage ? [...linkProblems(project, path, lines), ...wordingProblems(lines)] : [];
    return [...ofPage, ...(isRead ? nameProblems(project, path, lines, isPage) : [])];
  };
}
