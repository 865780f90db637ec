// The worker as a child process.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endWithParent } from '@loopstack/nats-server';
import { ROOT } from './setup.mjs';

/** From SIGTERM to SIGKILL: a worker may take its time to finish the runs that it has begun. */
const GRACE_MS = 60_000;
const READY_MS = 60_000;

/**
 * @param {NodeJS.ProcessEnv} env what the worker gets beside this process's environment
 */
export function startWorker(env) {
  // Detached: Ctrl-C in the terminal is for the starter, which tells the worker once and in the right order.
  const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'dist/main.js')], {
    cwd: ROOT,
    // Compiled code is kept where Node can (22.1 and later): the next start is faster.
    env: { NODE_COMPILE_CACHE: join(ROOT, '.cache/node'), ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const forget = child.pid === undefined ? () => {} : endWithParent(child.pid);
  /** @type {Promise<{ code: number | null, signal: NodeJS.Signals | null }>} */
  const exited = new Promise((resolve) => {
    child.once('error', () => resolve({ code: 1, signal: null }));
    child.once('exit', (code, signal) => {
      forget();
      resolve({ code, signal });
    });
  });
  return {
    exited,
    /** Lets the worker finish what it has begun. */
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await exited;
      clearTimeout(timer);
    },
    kill: () => child.kill('SIGKILL'),
  };
}

/**
 * @param {string} http URL of the worker's HTTP side
 * @param {() => boolean} isNeeded stops waiting when it says no
 * @returns {Promise<boolean>} whether the worker is ready
 * @throws {Error} when it is not after a minute
 */
export async function untilReady(http, isNeeded) {
  const deadline = performance.now() + READY_MS;
  while (isNeeded()) {
    if (await isReady(http)) return true;
    if (performance.now() > deadline) throw new Error(`the worker is not ready after ${READY_MS / 1000} s`);
    await delay(50);
  }
  return false;
}

/** @param {string} http */
async function isReady(http) {
  try {
    const response = await fetch(`${http}/health/ready`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
