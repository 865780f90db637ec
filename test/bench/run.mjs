// Builds the benchmarks, installs what they are compared with (once, into node_modules beside this file), and runs them.
// `npm ci` at the top installs none of it.

import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');

function step(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const installed = join(here, 'node_modules', '.package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(here, 'package-lock.json')).mtimeMs) {
  console.log('installing what is compared (test/bench/package.json)');
  step('npm', ['ci', '--loglevel=error', '--ignore-scripts'], here);
}
step(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', 'test/bench'], root);
step(process.execPath, [join(here, 'dist/main.js'), ...process.argv.slice(2)], root);
