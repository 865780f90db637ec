// What `npm start` and `npm test` do before anything else: install the dependencies if they are missing or not those of
// the lock file, and build if a source changed. Node's own modules only. With nothing to do it takes some 50 ms.
//
//   node src/dev/setup.mjs           installs and builds
//   node src/dev/setup.mjs install   only installs

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codeOf, isAlive, runToEnd } from './process.mjs';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** @typedef {(message: string) => void} Progress */

/** @type {Progress} */
export const print = (message) => console.log(`> ${message}`);

/**
 * Leaves the checkout installed and built.
 *
 * @param {object} [options]
 * @param {'src' | '.' | 'nothing'} [options.project] what to build: the worker with the packages it needs, or everything
 *   (default)
 * @param {Progress} [options.onProgress]
 */
export async function setUp({ project = '.', onProgress = print } = {}) {
  checkNode();
  const steps = [
    { isDone: isInstalled, act: () => install(onProgress) },
    { isDone: () => project === 'nothing' || isBuilt(project), act: () => build(project, onProgress) },
  ];
  if (steps.every(({ isDone }) => isDone())) return;
  // One set-up of a checkout at a time: `npm ci` removes what another process is reading.
  const release = await lock(join(ROOT, '.cache/setup.lock'), onProgress);
  try {
    for (const { isDone, act } of steps) if (!isDone()) await act();
  } finally {
    release();
  }
}

function checkNode() {
  const { engines } = readJson(join(ROOT, 'package.json'));
  const wanted = /\d+\.\d+/.exec(engines.node)?.[0] ?? '0.0';
  if (wanted.localeCompare(process.versions.node, 'en', { numeric: true }) <= 0) return;
  throw new Error(`Node.js ${wanted} or later is needed; this is ${process.versions.node}`);
}

/**
 * Compares npm's record of what it installed with the lock file. By content, not by time: a clone, a branch change and
 * an install by hand all leave times that say nothing.
 */
function isInstalled() {
  const record = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = readJson(record).packages;
  return Object.entries(readJson(join(ROOT, 'package-lock.json')).packages).every(([path, locked]) => {
    if (!path.startsWith('node_modules/')) return true;
    const found = installed[path];
    // Optional ones are for other platforms.
    if (found === undefined) return locked.optional === true;
    return found.version === locked.version && found.integrity === locked.integrity && found.resolved === locked.resolved;
  });
}

/** @param {Progress} onProgress */
async function install(onProgress) {
  onProgress('installing dependencies (npm ci)');
  const npm = process.env['npm_execpath'];
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  // The build needs the development dependencies, whatever NODE_ENV says.
  await runToEnd(command, [...first, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: ROOT });
}

const stampOf = (/** @type {string} */ project) => join(ROOT, `.cache/built-${project === '.' ? 'all' : project}`);

/** @param {string} project */
function isBuilt(project) {
  const stamp = stampOf(project);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === buildState(project);
}

/**
 * @param {string} project
 * @param {Progress} onProgress
 */
async function build(project, onProgress) {
  onProgress('building (tsc -b)');
  rmSync(stampOf(project), { force: true });
  const sources = sourceState(project);
  await runToEnd(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', project], { cwd: ROOT });
  // A source that changed during the build is not in it.
  if (sources !== sourceState(project)) return;
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  writeFileSync(stampOf(project), buildState(project));
}

/**
 * The state of sources and results together: it also differs after another build, or when a result was removed.
 *
 * @param {string} project
 */
function buildState(project) {
  const results = ['dist', ...packages().map((name) => `libs/${name}/dist`)].map((directory) => join(ROOT, directory, '.tsbuildinfo'));
  return `${sourceState(project)} ${stateOf([...results, join(ROOT, 'dist/main.js')])}\n`;
}

/** @param {string} project */
function sourceState(project) {
  const directories = ['src', ...(project === '.' ? ['test'] : []), ...packages().map((name) => `libs/${name}/src`)];
  const configurations = ['tsconfig.json', 'tsconfig.base.json', ...packages().map((name) => `libs/${name}/tsconfig.json`)];
  return stateOf([
    ...configurations.map((file) => join(ROOT, file)),
    ...directories.flatMap((directory) => filesIn(join(ROOT, directory))),
    join(ROOT, 'node_modules/.package-lock.json'),
  ]);
}

function packages() {
  return readdirSync(join(ROOT, 'libs')).filter((name) => existsSync(join(ROOT, 'libs', name, 'tsconfig.json')));
}

/**
 * The sources below a directory: what is installed or built there (test/bench) is none.
 *
 * @param {string} directory
 * @returns {string[]}
 */
function filesIn(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : filesIn(path);
    return entry.isFile() && /\.(ts|js|json)$/.test(entry.name) ? [path] : [];
  });
}

/** @param {string[]} files */
function stateOf(files) {
  const hash = createHash('sha256');
  for (const file of files.toSorted()) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${relative(ROOT, file)} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/**
 * @param {string} file
 * @param {Progress} onProgress
 * @returns {Promise<() => void>}
 */
async function lock(file, onProgress) {
  mkdirSync(dirname(file), { recursive: true });
  for (let waits = 0; ; waits += 1) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const owner = Number(existsSync(file) && readFileSync(file, 'utf8'));
    // A file without a number is one that is being written; not for ever.
    if (owner === 0 ? waits > 50 : !isAlive(owner)) rmSync(file, { force: true });
    else if (waits === 0) onProgress(`waiting for another set-up of this checkout (process ${owner}, ${file})`);
    await delay(100);
  }
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await setUp({ project: process.argv[2] === 'install' ? 'nothing' : '.' }).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
