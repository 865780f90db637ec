// Other processes.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** The parent is then an npm, which dies without a word where it is killed hard. */
export const isUnderNpm = process.env['npm_lifecycle_event'] !== undefined;

/**
 * Runs a command with this process's input and output, passes on what asks this process to end, and resolves when the
 * command has succeeded.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @throws {Error & { exitCode: number }} when it fails; a signal n counts as 128 + n
 */
export async function runToEnd(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  const pass = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
  // From a terminal Ctrl-C reaches the child by itself; here it only must not end this process first.
  const stay = () => {};
  process
    .on('SIGTERM', pass)
    .on('SIGHUP', pass)
    .on('SIGINT', process.stdin.isTTY ? stay : pass);
  try {
    const exitCode = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
    });
    if (exitCode !== 0) throw Object.assign(new Error(`${command} ${args.join(' ')} failed (${exitCode})`), { exitCode });
  } finally {
    process.off('SIGTERM', pass).off('SIGHUP', pass).off('SIGINT', stay).off('SIGINT', pass);
  }
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** @param {unknown} error */
export function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
