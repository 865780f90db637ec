// Texts that have no place in the repository, the form of the decision records, and references that lead nowhere. No linter looks at these.
// Prints one line per finding, `path:line: rule: text`, and exits with 1 if there is any.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { referencesOf } from './references.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const CODE = /\.(?:ts|mts|cts|js|mjs|cjs)$/;

/** A line of a file whose path matches `files` must not match `pattern`. */
const RULES = [
  {
    name: 'machine-path',
    files: /./,
    pattern: /(?<![\w.)}\]-])\/(?:work|root|Users|home\/(?!node\/))\b\/?\w/,
    message: 'a path of one machine',
  },
  {
    name: 'registry-host',
    files: /./,
    pattern:
      /\/\/[\w.@:-]*(?:registry|artifactory|nexus|verdaccio)[\w-]*\.\w|registry\.(?:npmjs|yarnpkg)\.|\/\/(?:deb|security|archive|ports)\.(?:debian|ubuntu)\b/i,
    message: 'the host of a package registry; installers take it from their own settings',
  },
  {
    name: 'registry-resolved',
    files: /(?:^|\/)package-lock\.json$/,
    pattern: /"resolved": "https?:/,
    message: 'write the lock file with omit-lockfile-registry-resolved (.npmrc)',
  },
  {
    name: 'focused-test',
    files: CODE,
    pattern: /\b(?:it|test|describe)\.(?:only\b|(?:skip|todo)(?:\.\w+)?\()|\b[fx](?:it|describe)\(/,
    message: 'a test that leaves others, or itself, out',
  },
  {
    name: 'left-over',
    files: /^(?:src|libs|config)\//,
    pattern: /\b(?:TODO|FIXME|XXX)\b/,
    message: 'do it, or file an issue',
  },
  {
    name: 'unexplained',
    files: /^(?:src|libs)\//,
    pattern: /oxlint-disable(?!.* -- \S)/,
    message: 'a rule is silenced with the reason: -- why',
  },
  {
    name: 'broker-word',
    files: /^libs\/core\/src\//,
    pattern: /nats|jetstream|kafka|rabbit|amqp|redis|bullmq/i,
    message: 'the core knows a port, not a broker',
  },
  {
    // What measures a duration by it, or judges others' times by it, is wrong as soon as it is set or differs.
    name: 'wall-clock',
    files: /^(?:src|libs)\/(?!shared\/src\/value\/clock\.ts$)(?!.*\.spec\.ts$).*\.[mc]?[jt]s$/,
    pattern:
      /^(?!.*\/\/ wall clock: \w).*(?:\bDate\.now\b|\bnew Date\b(?:\s*\(\s*\)|(?!\s*\())|(?<![\w.])Date\(\)|\}\s*=\s*Date\b|\btimeOrigin\b)/,
    message: 'durations are monotonicMs(), times that others read a ServerClock; a wall clock has a reason: // wall clock: <why>',
  },
  {
    // The import rules of the linter do not see this form.
    name: 'import-type-expression',
    files: /^(?:src|libs)\/.*\.[mc]?ts$/,
    pattern: /\bimport\(\s*['"][^'"]+['"]\s*\)\s*(?:\.\s*[A-Z]|\[)/,
    message: 'name the type in an import statement',
  },
  {
    name: 'spelling',
    // Of tests, titles and identifiers are left alone.
    files: /^(?!test\/)/,
    pattern:
      /colou[r]|behaviou[r]|neighbou[r]|favou[r]|honou[r]|judgemen[t]|licenc[e]|\b(?:whils[t]|learn[t]|cancelle[d]|cancellin[g])\b|\b(?:(?:de)?seriali|organi|recogni|initiali|normali|optimi|summari|synchroni|authori|minimi|maximi|canonicali|utili)s(?:e|ed|es|er|ing|ation)\b/i,
    message: 'American spelling',
  },
];

/** What is wrong with a decision record, each as [line, rule, text]. */
function adrProblems(path, lines) {
  const problems = [];
  const number = /^(\d{4})-[a-z0-9-]+\.md$/.exec(basename(path))?.[1];
  if (number === undefined) return [[1, 'adr-name', 'a record is named NNNN-what-was-decided.md']];
  if (!new RegExp(`^# ${number}: \\S`).test(lines[0] ?? '')) problems.push([1, 'adr-title', `the first line is "# ${number}: <title>"`]);
  const status = lines.find((line) => line.startsWith('- Status: '));
  if (!/^- Status: (?:proposed|accepted|superseded by \d{4})$/.test(status ?? '')) {
    problems.push([1, 'adr-status', 'it has a line "- Status: proposed", accepted, or superseded by NNNN']);
  }
  if (!lines.some((line) => /^- Date: \d{4}-\d{2}-\d{2}$/.test(line))) problems.push([1, 'adr-date', 'it has a line "- Date: YYYY-MM-DD"']);
  const headings = lines.filter((line) => line.startsWith('## ')).map((line) => line.slice(3).trim());
  for (const wanted of ['Context', 'Decision', 'Consequences', 'How it was measured']) {
    if (!headings.includes(wanted)) problems.push([1, 'adr-heading', `the heading "## ${wanted}" is missing`]);
  }
  return problems;
}

// Tracked files and those that would be, so that a finding comes before the commit.
const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path)));

const findings = [];
const adrNumbers = new Map();
const texts = new Map();
for (const path of paths) {
  const text = readFileSync(join(root, path), 'utf8');
  if (!text.includes('\0')) texts.set(path, text);
}
const referenceProblems = referencesOf(texts, paths);
for (const [path, text] of texts) {
  const lines = text.split('\n');
  for (const { name, pattern, message } of RULES.filter(({ files }) => files.test(path))) {
    for (const [index, line] of lines.entries()) {
      if (pattern.test(line)) findings.push(`${path}:${index + 1}: ${name}: ${message}`);
    }
  }
  for (const [line, rule, problem] of referenceProblems(path)) findings.push(`${path}:${line}: ${rule}: ${problem}`);
  if (path.startsWith('docs/adr/') && path.endsWith('.md') && basename(path) !== 'template.md') {
    for (const [line, rule, problem] of adrProblems(path, lines)) findings.push(`${path}:${line}: ${rule}: ${problem}`);
    const number = basename(path).slice(0, 4);
    if (adrNumbers.has(number)) findings.push(`${path}:1: adr-number: ${adrNumbers.get(number)} has this number`);
    adrNumbers.set(number, basename(path));
  }
}

/** Sources that stand side by side in a folder of a room, without specs. */
const MOST_SOURCES = 15;
const sourcesOf = new Map();
for (const path of texts.keys()) {
  if (/^libs\/[^/]+\/src\/(?!.*\.spec\.ts$).*\.(?:ts|js)$/.test(path))
    sourcesOf.set(dirname(path), [...(sourcesOf.get(dirname(path)) ?? []), path]);
}
for (const sources of sourcesOf.values()) {
  for (const path of sources.toSorted().slice(MOST_SOURCES))
    findings.push(`${path}:1: crowded: ${MOST_SOURCES} sources stand in this folder already`);
}

for (const finding of findings) console.log(finding);
process.exitCode = findings.length === 0 ? 0 : 1;
