import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { install, pack } from './install.js';

/** An application whose workflow comes from another package. */
const APPLICATION = `
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as core from '@loopstack/core';
import { Greet, Greetings } from 'greetings';

const required = createRequire(import.meta.url)('@loopstack/core');
if (required.LoopstackModule !== core.LoopstackModule) throw new Error('require() gives another copy');
class AppModule {}
Module({ imports: [core.LoopstackModule.forRoot()], providers: [Greet, Greetings] })(AppModule);
const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
console.log(app.get(core.WorkflowRegistry).workflows.map(({ workflow }) => workflow).join());
await app.close();
`;
const GREETINGS = `
import { Workflow, Workspace } from '@loopstack/core';
export class Greet {
  run() {}
}
Workflow()(Greet);
export class Greetings {}
Workspace({ workflows: [Greet] })(Greetings);
`;

let temporary: string;
let project: string;

beforeAll(async () => {
  temporary = await realpath(await mkdtemp(join(tmpdir(), 'loopstack-copies-')));
  project = join(temporary, 'project');
  const packs = await pack(join(temporary, 'packs'), ['shared', 'core']);
  const nest = ['@nestjs/common@12', '@nestjs/core@12', 'rxjs@7', 'reflect-metadata@0.2', 'class-validator@0.15', 'class-transformer@0.5'];
  await install(project, [...packs, ...nest]);
  await writeFile(join(project, 'app.mjs'), APPLICATION);
}, 120_000);
afterAll(() => rm(temporary, { recursive: true, force: true }));

/** Installs the package `greetings`, which asks for `@loopstack/core` in its own way. */
async function installGreetings(asks: object): Promise<void> {
  const greetings = join(temporary, 'greetings');
  await mkdir(greetings, { recursive: true });
  const manifest = { name: 'greetings', version: '1.0.0', type: 'module', main: 'index.js', ...asks };
  await writeFile(join(greetings, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(greetings, 'index.js'), GREETINGS);
  await install(project, [await tarball(greetings)]);
}

/** The tarball of `@loopstack/core` as another version of it. */
async function coreOf(version: string): Promise<string> {
  const source = join(temporary, `core-${version}`);
  await cp(join(project, 'node_modules/@loopstack/core'), source, { recursive: true });
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(join(source, 'package.json'), JSON.stringify({ ...manifest, version }));
  return tarball(source);
}

interface Ended {
  readonly code: number;
  readonly output: string;
}
const run = (file: string, args: readonly string[], cwd: string): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(file, args, { cwd, timeout: 120_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: `${stdout}${stderr}`.trim() });
    });
  });

async function tarball(directory: string): Promise<string> {
  const { output } = await run('npm', ['pack', '--silent', '--pack-destination', temporary], directory);
  return join(temporary, output);
}

const start = (): Promise<Ended> => run(process.execPath, ['app.mjs'], project);

describe('copies of a package', () => {
  it('are one for import and require', async () => {
    await installGreetings({ peerDependencies: { '@loopstack/core': '*' } });
    expect(await start()).toEqual({ code: 0, output: 'Greet' });
  });

  it('of two versions stop the boot, which names both paths', async () => {
    await installGreetings({ dependencies: { '@loopstack/core': await coreOf('0.99.0') } });
    const { code, output } = await start();
    expect(code).toBe(1);
    expect(output).toContain('Several copies of @loopstack/core are loaded');
    expect(output).toContain(`${join(project, 'node_modules/@loopstack/core')} (`);
    expect(output).toContain(`${join(project, 'node_modules/greetings/node_modules/@loopstack/core')} (0.99.0)`);
    expect(output).toContain('npm dedupe');
  });

  it('inside a bundle in CommonJS stop the boot, too', async () => {
    await installGreetings({ peerDependencies: { '@loopstack/core': '*' } });
    const bundle = join(project, 'node_modules/greetings/bundle.cjs');
    const external = ['@nestjs/*', '@loopstack/shared', 'rxjs', 'reflect-metadata', 'class-validator', 'class-transformer'];
    const entryPoints = [join(project, 'node_modules/greetings/index.js')];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'cjs', outfile: bundle, external, logLevel: 'silent' });
    await writeFile(join(project, 'app.mjs'), APPLICATION.replace("'greetings'", "'greetings/bundle.cjs'"));
    const { code, output } = await start();
    expect(code).toBe(1);
    expect(output).toContain(`one inside ${bundle}`);
    expect(output).toContain(`${join(project, 'node_modules/@loopstack/core')} (`);
  });
});
