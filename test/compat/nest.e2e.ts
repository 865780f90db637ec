import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';

const run = promisify(execFile);
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = ['shared', 'jetstream', 'client', 'operations', 'core', 'nats'];
const BASE = {
  target: 'es2022',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
  rootDir: 'src',
};
/** How an application is compiled, beside what all have in common. */
const COMPILERS = {
  'CommonJS, nodenext': { module: 'nodenext', type: 'commonjs' },
  'ES modules, nodenext': { module: 'nodenext', type: 'module' },
  'CommonJS, classic': { module: 'commonjs', moduleResolution: 'node10', type: 'commonjs' },
} as const;

let temporary: string;
let server: NatsServer;

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'loopstack-compat-'));
  await mkdir(join(temporary, 'packs'));
  for (const name of PACKAGES)
    await run('npm', ['pack', '--silent', '--pack-destination', join(temporary, 'packs')], { cwd: join(CHECKOUT, 'libs', name) });
  server = await startNatsServer();
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await rm(temporary, { recursive: true, force: true });
});

/** An application outside the checkout with the packed packages, installed as a user installs them: without force. */
async function application(nest: string): Promise<string> {
  const directory = join(temporary, `nest-${nest}`);
  await mkdir(join(directory, 'src'), { recursive: true });
  await copyFile(fileURLToPath(new URL('application/main.ts', import.meta.url)), join(directory, 'src/main.ts'));
  await writeFile(join(directory, 'package.json'), '{"private":true}');
  const packs = (await readdir(join(temporary, 'packs'))).map((file) => join(temporary, 'packs', file));
  const nests = ['common', 'core', 'microservices', 'platform-express'].map((name) => `@nestjs/${name}@${nest}`);
  const others = ['reflect-metadata@0.2', 'rxjs@7', 'class-validator@0.15', 'class-transformer@0.5', 'typescript@5.9', '@types/node@20'];
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...flags, ...packs, ...nests, ...others], { cwd: directory });
  return directory;
}

async function compile(directory: string, compiler: keyof typeof COMPILERS): Promise<string> {
  const { type, ...options } = COMPILERS[compiler];
  const outDir = compiler.replaceAll(/\W+/g, '-');
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type }));
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...BASE, ...options, outDir }, include: ['src'] }));
  await run(process.execPath, [join(directory, 'node_modules/typescript/bin/tsc'), '-p', directory]).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
  await writeFile(join(directory, outDir, 'package.json'), JSON.stringify({ type }));
  return join(directory, outDir, 'main.js');
}

let prefixes = 0;
async function outputOf(program: string, role: string): Promise<string> {
  const env = { PATH: process.env['PATH'], NATS_URL: server.url, PREFIX: `compat${++prefixes}`, ROLE: role };
  const { stdout, stderr } = await run(process.execPath, [program], { env, timeout: 60_000 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`.trim();
}

const SEEN = 'shipped to Graz for u1\nevent {"n":1}, on-run';

describe.each(['10.4', '11'])('an application of Nest %s', (nest) => {
  let directory: string;
  const programs = new Map<keyof typeof COMPILERS, Promise<string>>();
  const program = (compiler: keyof typeof COMPILERS): Promise<string> => {
    const known = programs.get(compiler) ?? compile(directory, compiler);
    programs.set(compiler, known);
    return known;
  };
  beforeAll(async () => {
    directory = await application(nest);
  }, 240_000);

  it.each(Object.keys(COMPILERS) as (keyof typeof COMPILERS)[])('runs workflows compiled as %s', async (compiler) => {
    expect(await outputOf(await program(compiler), 'hybrid')).toBe(SEEN);
  });

  it.each([
    ['worker', SEEN],
    ['producer', 'ShipOrder'],
  ])('is a %s alone', async (role, expected) => {
    expect(await outputOf(await program('CommonJS, nodenext'), role)).toBe(expected);
  });
});
