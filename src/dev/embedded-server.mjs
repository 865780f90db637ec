// The nats-server of `npm start`: its port, its data, and who may use the data.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findNatsServer, isFree, pickPort, PortTakenError, startNatsServer } from '@loopstack/nats-server';
import { codeOf, isAlive, isUnderNpm } from './process.mjs';
import { ROOT } from './setup.mjs';

/** Longer than a guardian takes to end the server of a starter that was killed, and than running workflows get to finish. */
const FORMER_SERVER_MS = 40_000;

/**
 * Starts the server, its data under `.data/` in the checkout.
 *
 * @param {object} options
 * @param {number} options.port the next free one is taken if it is not
 * @param {(message: string) => void} options.onProgress
 */
export async function startEmbeddedServer({ port: wanted, onProgress }) {
  const { path: binary, version, origin } = await findNatsServer({ cacheDir: join(ROOT, '.cache/nats-server'), onProgress });
  const data = await claim(join(ROOT, '.data/nats'), onProgress);
  for (let port = await nextFreePort(wanted, '127.0.0.1'); ; port = await nextFreePort(port + 1, '127.0.0.1')) {
    // Another server has the data directory; a port has only one server, so its own directory has one too.
    const storeDir = data?.directory ?? join(ROOT, `.data/nats-${port}`);
    try {
      const configFile = join(ROOT, 'config/nats/development.conf');
      const server = await startNatsServer({ binary, port, storeDir, configFile, name: `development-${port}` });
      if (server.pid !== undefined) data?.record(server.pid);
      if (port !== wanted) onProgress(`port ${wanted} is taken: nats-server listens on ${port} (NATS_PORT chooses another one)`);
      const stop = async () => {
        await server.stop();
        data?.release();
      };
      const description = `nats-server ${version} (${origin}), data in ${relative(ROOT, storeDir)}`;
      return { url: server.url, shown: server.url, description, exited: server.exited, stop };
    } catch (error) {
      if (error instanceof PortTakenError && error.port === port) continue;
      data?.release();
      throw error;
    }
  }
}

/**
 * @param {number} wanted 0: any
 * @param {string} [host] default: all addresses
 */
export async function nextFreePort(wanted, host) {
  if (wanted === 0) return pickPort();
  for (let port = wanted; port < wanted + 100 && port < 65_536; port += 1) if (await isFree(port, host)) return port;
  throw new Error(`no free port from ${wanted} on`);
}

/**
 * Two servers on one JetStream directory would ruin it.
 *
 * @param {string} directory
 * @param {(message: string) => void} onProgress
 * @returns {Promise<{ directory: string, record: (server: number) => void, release: () => void } | undefined>} undefined
 *   while another `npm start` of this checkout runs
 */
async function claim(directory, onProgress) {
  const file = `${directory}.owner.json`;
  mkdirSync(directory, { recursive: true });
  const deadline = performance.now() + FORMER_SERVER_MS;
  const mine = { starter: process.pid, ...(isUnderNpm ? { npm: process.ppid } : {}) };
  for (let waits = 0; ; waits += 1) {
    try {
      writeFileSync(file, JSON.stringify(mine), { flag: 'wx' });
      return {
        directory,
        record: (server) => writeFileSync(file, JSON.stringify({ ...mine, server })),
        release: () => rmSync(file, { force: true }),
      };
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const owner = readOwner(file);
    const starts = isProcess(owner.starter, 'start.mjs');
    // A starter whose npm is gone is about to stop its server; which of the two processes to wait for.
    const stopping = starts && owner.npm !== undefined && !isProcess(owner.npm);
    if (starts && !stopping) {
      onProgress(`another npm start of this checkout runs (process ${owner.starter}): this one has data of its own`);
      return undefined;
    }
    const former = stopping ? owner.starter : owner.server;
    if (!stopping && !isProcess(owner.server, 'nats-server')) rmSync(file, { force: true });
    else if (waits === 0) onProgress(`waiting for the server of a start that was killed (process ${former})`);
    if (performance.now() > deadline) throw new Error(`process ${former} uses ${directory}: end it, or remove ${file}`);
    await delay(50);
  }
}

/** @param {string} file */
function readOwner(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/**
 * Process ids come again after a restart of the machine; where there is /proc, the command must be the right one.
 *
 * @param {number | undefined} pid
 * @param {string} [program] default: any
 */
function isProcess(pid, program = '') {
  if (pid === undefined || !isAlive(pid)) return false;
  if (!existsSync('/proc/self/cmdline')) return true;
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    // A zombie has an empty one.
    return command !== '' && command.includes(program);
  } catch {
    return false;
  }
}
