// Where a nats-server comes from.

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isRecent, MINIMUM_VERSION } from './info.js';

const run = promisify(execFile);

/** @typedef {{ path: string, version: string, origin: 'PATH' | 'cache' | 'release' | 'apt' }} FoundServer */

/**
 * @typedef {object} FindOptions
 * @property {string} [cacheDir]
 * @property {(message: string) => void} [onProgress]
 * @property {NodeJS.ProcessEnv} [env]
 */

/**
 * @param {FindOptions} [options]
 * @returns {Promise<FoundServer>}
 */
export async function findNatsServer({ cacheDir = defaultCacheDir(), onProgress = () => {}, env = process.env } = {}) {
  const found = (await onPath(env, onProgress)) ?? (await inCache(cacheDir));
  if (found !== undefined) return found;
  throw new Error('no nats-server found');
}

/** `.cache/nats-server` of the checkout, or of the project that has this package installed. */
export function defaultCacheDir() {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const installed = here.lastIndexOf(`${join('/', 'node_modules', '/')}`);
  return installed === -1
    ? resolve(here, '../../../.cache/nats-server')
    : join(here.slice(0, installed), 'node_modules/.cache/loopstack-nats-server');
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {(message: string) => void} onProgress
 * @returns {Promise<FoundServer | undefined>}
 */
async function onPath(env, onProgress) {
  for (const directory of (env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(directory, 'nats-server');
    const version = await versionOf(path);
    if (version === undefined) continue;
    if (isRecent(version)) return { path, version, origin: 'PATH' };
    onProgress(`${path} is ${version}; at least ${MINIMUM_VERSION} is needed`);
  }
  return undefined;
}

/**
 * @param {string} cacheDir
 * @returns {Promise<FoundServer | undefined>}
 */
async function inCache(cacheDir) {
  const entries = await readdir(cacheDir).catch(() => []);
  for (const entry of entries.sort().reverse()) {
    const path = join(cacheDir, entry, 'nats-server');
    const version = await versionOf(path);
    if (version !== undefined && isRecent(version)) return { path, version, origin: 'cache' };
  }
  return undefined;
}

/**
 * @param {string} path
 * @returns {Promise<string | undefined>} undefined when there is no such program, or it does not run here
 */
export async function versionOf(path) {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return /v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
