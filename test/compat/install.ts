import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
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

/** The program `node` of a version such as `22` or `20.19.0`, from npm. It stays in `.cache`. */
export async function nodeOf(version: string): Promise<string> {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const home = join(CHECKOUT, '.cache/compat', `node-${version}`);
  const path = join(home, 'node_modules', name, 'bin/node');
  if (existsSync(path)) return path;
  await rm(home, { recursive: true, force: true });
  await install(home, [`${name}@${version}`]);
  return path;
}
