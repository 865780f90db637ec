// Where a nats-server comes from: the PATH, the cache, the official release, the distribution's package.

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fetchPackage } from './fetch-package.js';
import { fetchRelease, RELEASES_URL } from './fetch-release.js';
import { removeWithParent } from './guardian.js';
import { isRecent, MINIMUM_VERSION } from './info.js';

const run = promisify(execFile);

/** @typedef {'PATH' | 'cache' | 'release' | 'apt'} Origin */
/** @typedef {{ path: string, version: string, origin: Origin }} FoundServer */

/**
 * @typedef {object} FindOptions
 * @property {string} [cacheDir] where a fetched server is kept; default `.cache/nats-server` of the checkout, or
 *   `node_modules/.cache/loopstack-nats-server` of the project that has this package installed
 * @property {(message: string) => void} [onProgress] is told what is tried; default: nothing
 * @property {NodeJS.ProcessEnv} [env] whose PATH is searched; default `process.env`
 * @property {string} [releasesUrl] where the official archives lie, for a mirror; default GitHub
 */

/**
 * Finds a nats-server of at least 2.12, or fetches one. Two processes may do so at the same time.
 *
 * @param {FindOptions} [options]
 * @returns {Promise<FoundServer>}
 * @throws {Error} that lists what was tried and what to do
 */
export async function findNatsServer({
  cacheDir = defaultCacheDir(),
  onProgress = () => {},
  env = process.env,
  releasesUrl = RELEASES_URL,
} = {}) {
  /** @type {string[]} */
  const tried = [];
  const isTried = (/** @type {string} */ message) => {
    tried.push(message);
    onProgress(message);
  };
  const found = (await onPath(env, isTried)) ?? (await inCache(cacheDir, isTried));
  if (found !== undefined) return found;

  try {
    onProgress('fetching the official release of nats-server');
    return await fetched('release', cacheDir, (target) => fetchRelease(target, releasesUrl));
  } catch (error) {
    isTried(`the official release: ${/** @type {Error} */ (error).message}`);
  }
  if ((await programOnPath('apt-get', env)).length === 0) isTried('a Debian or Ubuntu package: there is no apt-get');
  else {
    try {
      return await fetched('apt', cacheDir, (target, directory) => fetchPackage(target, directory, env, onProgress));
    } catch (error) {
      isTried(`a Debian or Ubuntu package: ${/** @type {Error} */ (error).message}`);
    }
  }
  throw new Error(whatToDo(tried, cacheDir));
}

/** `.cache/nats-server` of the checkout, or a place in the project that has this package installed. */
export function defaultCacheDir() {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const installed = here.lastIndexOf(join('/', 'node_modules', '/'));
  return installed === -1
    ? resolve(here, '../../../.cache/nats-server')
    : join(here.slice(0, installed), 'node_modules/.cache/loopstack-nats-server');
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {(message: string) => void} isTried
 * @returns {Promise<FoundServer | undefined>}
 */
async function onPath(env, isTried) {
  const programs = await programOnPath('nats-server', env);
  for (const path of programs) {
    const version = await versionOf(path);
    if (version !== undefined && isRecent(version)) return { path, version, origin: 'PATH' };
    isTried(`${path}: ${version === undefined ? 'does not run' : `is ${version}`}, ${MINIMUM_VERSION} or later is needed`);
  }
  if (programs.length === 0) isTried('the PATH: there is no nats-server');
  return undefined;
}

/**
 * @param {string} name
 * @param {NodeJS.ProcessEnv} env
 */
async function programOnPath(name, env) {
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  const paths = (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, file));
  const usable = await Promise.all(paths.map(isExecutable));
  return paths.filter((_, i) => usable[i]);
}

/**
 * @param {string} cacheDir
 * @param {(message: string) => void} isTried
 * @returns {Promise<FoundServer | undefined>}
 */
async function inCache(cacheDir, isTried) {
  const versions = (await readdir(cacheDir).catch(() => [])).filter((entry) => /^\d/.test(entry));
  for (const entry of versions.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }))) {
    const path = join(cacheDir, entry, 'nats-server');
    const version = await versionOf(path);
    if (version !== undefined && isRecent(version)) return { path, version, origin: 'cache' };
  }
  isTried(`the cache (${relative(process.cwd(), cacheDir) || '.'}): there is no nats-server`);
  return undefined;
}

/**
 * Fetches into a directory of its own and moves the whole into the cache at once, so that no process ever sees a part of it.
 *
 * @param {Origin} origin
 * @param {string} cacheDir
 * @param {(target: string, directory: string) => Promise<void>} fetchTo
 * @returns {Promise<FoundServer>}
 */
async function fetched(origin, cacheDir, fetchTo) {
  await mkdir(cacheDir, { recursive: true });
  const directory = await mkdtemp(join(resolve(cacheDir), 'fetch-'));
  const keep = removeWithParent(directory);
  try {
    const program = join(directory, 'program', 'nats-server');
    await fetchTo(program, directory);
    const version = await versionOf(program);
    if (version === undefined) throw new Error('what was fetched does not run on this machine');
    if (!isRecent(version)) throw new Error(`it is ${version}, ${MINIMUM_VERSION} or later is needed`);
    const kept = join(cacheDir, version);
    if ((await versionOf(join(kept, 'nats-server'))) !== version) await replaceDirectory(join(directory, 'program'), kept);
    return { path: join(kept, 'nats-server'), version, origin };
  } finally {
    await rm(directory, { recursive: true, force: true });
    keep();
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
async function replaceDirectory(from, to) {
  try {
    await rename(from, to);
  } catch {
    // Another process was first, or what is there does not run. A rename over a directory with files in it is refused.
    if ((await versionOf(join(to, 'nats-server'))) !== undefined) return;
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
}

/** @param {string} path */
async function isExecutable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * @param {string} path
 * @returns {Promise<string | undefined>} undefined when there is no such program, or it does not run here
 */
async function versionOf(path) {
  if (!(await isExecutable(path))) return undefined;
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return /v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/**
 * @param {string[]} tried
 * @param {string} cacheDir
 */
function whatToDo(tried, cacheDir) {
  return [
    `No nats-server ${MINIMUM_VERSION} or later was found, and none could be fetched. Tried:`,
    ...tried.map((line) => `  - ${line}`),
    'Do one of these:',
    '  - set NATS_URL to the address of a server that runs, with JetStream on',
    '  - install nats-server so that it is on the PATH (https://docs.nats.io/running-a-nats-service/introduction/installation)',
    `  - put the program at ${join(cacheDir, '<version>', 'nats-server')}`,
    '  - start one in Docker: docker compose up -d nats, and set NATS_URL=nats://localhost:4222',
  ].join('\n');
}
