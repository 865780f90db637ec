// `npm run check`: every gate, one line each; the output of a gate that failed below its line. All of them run.
// `node .ci/check.mjs lint text` runs the named ones. Exit code 1 if any failed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The script behind a tool's command, so that no shell and no PATH is between. */
function tool(name, command = name) {
  const directory = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  return join(directory, typeof bin === 'string' ? bin : bin[command]);
}

// In this order: the type-aware rules of the linter read the declarations that the compiler writes.
const GATES = {
  types: () => [tool('typescript', 'tsc'), '-b'],
  lint: () => [tool('oxlint')],
  format: () => [tool('prettier'), '--check', '--log-level', 'warn', '.'],
  unused: () => [tool('knip'), '--no-progress', '--no-config-hints'],
  duplicates: () => [join(root, '.ci', 'duplicates.mjs')],
  text: () => [join(root, '.ci', 'text.mjs')],
  lock: () => [join(root, '.ci', 'complete-lock.mjs'), '--check'],
};

/** Runs one gate; resolves to its exit code and what it printed. */
async function run(args) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  return { code, output };
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

async function check(names) {
  const unknown = names.filter((name) => !Object.hasOwn(GATES, name));
  if (unknown.length > 0) {
    console.error(`no gate ${unknown.join(', ')}; there are ${Object.keys(GATES).join(', ')}`);
    return 1;
  }
  if (!existsSync(join(root, 'node_modules'))) {
    console.error('the dependencies are not installed: run npm ci');
    return 1;
  }
  const failed = [];
  const started = performance.now();
  for (const name of names) {
    process.stdout.write(`${name.padEnd(11)}`);
    const since = performance.now();
    const { code, output } = await run(GATES[name]());
    process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${seconds(since)}\n`);
    if (code !== 0) {
      failed.push(name);
      console.log(`${output.trimEnd()}\n`);
    }
  }
  console.log(failed.length === 0 ? `check passed in ${seconds(started)}` : `check failed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

const asked = process.argv.slice(2);
process.exitCode = await check(asked.length > 0 ? asked : Object.keys(GATES));
