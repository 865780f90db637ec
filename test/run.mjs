// `npm test`: set-up, a nats-server for the tests to start, and Jest with the arguments that were given:
// `npm test -- redelivery` runs the files of that name. `--long`: the fault tests with the numbers that they are meant for, one
// file at a time, since some of them measure. `--soak`, with `--minutes` (20): what grows under a load of all kinds. `--compat`: the whole
// matrix of docs/compatibility.md, whose table it writes.

import { join } from 'node:path';
import { runToEnd } from '../src/dev/process.mjs';
import { print, ROOT, setUp } from '../src/dev/setup.mjs';

async function prepare() {
  await setUp();
  // Once and with progress shown, before several test files look for it at the same time.
  const { findNatsServer } = await import('@loopstack/nats-server');
  const { path, version } = await findNatsServer({ onProgress: print });
  print(`nats-server ${version} (${path})`);
}

const isLong = process.argv.includes('--long');
const isSoak = process.argv.includes('--soak');
const isCompat = process.argv.includes('--compat');
const minutesAt = process.argv.indexOf('--minutes');
const minutes = minutesAt < 0 ? '20' : String(process.argv[minutesAt + 1]);

/** @param {string[]} args */
async function jest(args) {
  const options = [process.env['NODE_OPTIONS'], '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const env = {
    ...process.env,
    NODE_OPTIONS: options.filter(Boolean).join(' '),
    ...(isLong ? { LOOPSTACK_FAULTS: 'long' } : {}),
    ...(isCompat ? { LOOPSTACK_COMPAT: 'all' } : {}),
    ...(isSoak ? { LOOPSTACK_SOAK_MINUTES: minutes } : {}),
  };
  await runToEnd(process.execPath, [join(ROOT, 'node_modules/jest/bin/jest.js'), ...args], { cwd: ROOT, env });
}

try {
  await prepare();
  // Jest itself says what failed.
  const given = process.argv.filter((_, i) => i > 1 && (minutesAt < 0 || (i !== minutesAt && i !== minutesAt + 1)));
  const args = given.map((arg) => (arg === '--long' || arg === '--soak' || arg === '--compat' ? '--runInBand' : arg));
  await jest(args).catch((error) => (process.exitCode = error.exitCode ?? 1));
} catch (error) {
  console.error(error.message);
  process.exitCode = error.exitCode ?? 1;
}
