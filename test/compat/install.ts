import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const FLAGS = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];

/** Packs packages of the checkout as npm would publish them, and returns the tarballs. */
export async function pack(destination: string, names: readonly string[]): Promise<string[]> {
  await mkdir(destination, { recursive: true });
  for (const name of names)
    await run('npm', ['pack', '--silent', '--pack-destination', destination], { cwd: join(CHECKOUT, 'libs', name) });
  return (await readdir(destination)).map((file) => join(destination, file));
}

/** Installs packages into a project as a user does: without force. */
export async function install(project: string, packages: readonly string[]): Promise<void> {
  await mkdir(project, { recursive: true });
  if (!existsSync(join(project, 'package.json'))) await writeFile(join(project, 'package.json'), '{"private":true}');
  await run('npm', ['install', ...FLAGS, ...packages], { cwd: project });
}
