import { transformFile } from '@swc/core';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const sources = join(root, 'test', 'rig', 'worker');
/** Inside the checkout, so that the program finds its packages. */
const target = join(root, '.cache', 'rig');

/** The worker program as JavaScript that Node runs. Made once for each state of its sources, by any number of test files at a time. */
export async function workerProgram(): Promise<string> {
  const names = (await readdir(sources)).filter((name) => name.endsWith('.ts'));
  const texts = await Promise.all(names.map((name) => readFile(join(sources, name), 'utf8')));
  const home = join(target, createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 16));
  const program = join(home, 'program.js');
  if (existsSync(program)) return program;
  await mkdir(target, { recursive: true });
  const fresh = await mkdtemp(join(target, 'new-'));
  await writeFile(join(fresh, 'package.json'), '{"type":"module"}');
  for (const name of names) {
    const { code } = await transformFile(join(sources, name), {
      swcrc: false,
      module: { type: 'nodenext' },
      jsc: {
        target: 'es2023',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
      },
    });
    await writeFile(join(fresh, name.replace(/\.ts$/, '.js')), code);
  }
  // Whoever is first; the others' are the same.
  await rename(fresh, home).catch(() => rm(fresh, { recursive: true, force: true }));
  return program;
}
