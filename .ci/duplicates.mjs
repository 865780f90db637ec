// Six lines of code that stand twice in libs and src, in one file or in two: `path:line: duplicate: …` per finding, and exit code 1.
// Blank lines, comments, imports and lines of punctuation do not count. Where both have to stay, a comment in one of them, or right
// above it, names the other file and says why: `// same as <path>: <reason>`.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const SOURCE = /^(?:libs\/[^/]+\/src|src)\/(?!.*\.spec\.ts$).*\.[mc]?[jt]s$/;
const LINES = 6;
/** A comment this many lines above a run is about it. */
const ABOVE = 3;

/** Lines of code as [line number, text], and the files that comments excuse, by line number. */
function read(path) {
  const code = [];
  const excused = [];
  let skipped;
  for (const [index, raw] of readFileSync(join(root, path), 'utf8').split('\n').entries()) {
    const line = raw.trim();
    const named = /\/\/ same as ([\w./-]+): \S/.exec(line)?.[1];
    if (named !== undefined) excused.push({ line: index + 1, path: named });
    if (skipped !== undefined) {
      if (skipped.test(line)) skipped = undefined;
    } else if (line.startsWith('/*')) {
      if (!line.includes('*/')) skipped = /\*\//;
    } else if (/^(?:import|export) (?:type )?\{[^}]*$/.test(line)) {
      skipped = /^\}/;
    } else if (/\w/.test(line) && !/^(?:\/\/|import\b)/.test(line)) {
      code.push({ line: index + 1, text: line.replace(/\s+\/\/ .*$/, '') });
    }
  }
  return { path, code, excused };
}

const textOf = ({ code }, at) =>
  code
    .slice(at, at + LINES)
    .map(({ text }) => text)
    .join('\n');

/** How many lines are equal from here on; a run does not overlap itself. */
function lengthOf(one, at, other, from) {
  let length = LINES;
  while (one.code[at + length] !== undefined && one.code[at + length].text === other.code[from + length]?.text) length++;
  return one === other ? Math.min(length, from - at) : length;
}

function excuses(file, at, length, path) {
  const first = file.code[at].line;
  const last = file.code[at + length - 1].line;
  return file.excused.some(({ line, path: named }) => named === path && line >= first - ABOVE && line <= last);
}

const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', 'libs', 'src'], { cwd: root });
const files = [...new Set(listed.toString().split('\0'))].filter((path) => SOURCE.test(path) && existsSync(join(root, path))).map(read);

const places = new Map();
let found = 0;
for (const file of files) {
  for (let at = 0; at + LINES <= file.code.length; at++) {
    const text = textOf(file, at);
    const others = places.get(text) ?? [];
    for (const { other, from } of others) {
      const begins = at === 0 || from === 0 || file.code[at - 1].text !== other.code[from - 1].text;
      if (!begins || (file === other && at - from < LINES)) continue;
      const length = lengthOf(other, from, file, at);
      if (excuses(file, at, length, other.path) || excuses(other, from, length, file.path)) continue;
      console.log(
        `${file.path}:${file.code[at].line}: duplicate: ${length} lines of code as in ${other.path}:${other.code[from].line}; one place can serve both, or a comment says why not: // same as ${other.path}: <why>`,
      );
      found++;
    }
    places.set(text, [...others, { other: file, from: at }]);
  }
}
process.exitCode = found === 0 ? 0 : 1;
