import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// An application outside the checkout, with the packed packages: its framework is Vitest, which this project does not have.

describe.each(['10.4', '11'])('Vitest in an application of Nest %s', (nest) => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loopstack-vitest-'));
    await mkdir(join(directory, 'packs'));
    for (const name of ['shared', 'core', 'testing'])
      await run('npm', ['pack', '--silent', '--pack-destination', join(directory, 'packs')], { cwd: join(ROOT, 'libs', name) });
    await writeFile(join(directory, 'package.json'), '{"private":true,"type":"module"}');
    await copyFile(fileURLToPath(new URL('vitest-program.mjs', import.meta.url)), join(directory, 'orders.test.mjs'));
    const packs = (await readdir(join(directory, 'packs'))).map((file) => join(directory, 'packs', file));
    const nests = ['common', 'core', 'testing'].map((name) => `@nestjs/${name}@${nest}`);
    const others = ['reflect-metadata@0.2', 'rxjs@7', 'class-validator@0.15', 'class-transformer@0.5', 'vitest@3'];
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', ['install', ...flags, ...packs, ...nests, ...others], { cwd: directory });
  }, 240_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('runs workflows, by hand and by its fake timers', async () => {
    const vitest = join(directory, 'node_modules/vitest/vitest.mjs');
    const env = { PATH: process.env['PATH'], NO_COLOR: '1', NODE_ENV: 'test' };
    const { stdout, stderr } = await run(process.execPath, [vitest, 'run'], { cwd: directory, env, timeout: 60_000 }).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(`${stdout}${stderr}`).toMatch(/Tests {2}3 passed \(3\)/);
  }, 120_000);
});
