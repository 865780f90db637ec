import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const run = promisify(execFile);
const checkout = join(dirname(fileURLToPath(import.meta.url)), '..');

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Tarball extends Manifest {
  readonly directory: string;
  readonly path: string;
  readonly files: readonly string[];
}

const manifestOf = async (directory: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as Manifest;

const rooms = await readdir(join(checkout, 'libs'));
const packages = (await Promise.all(rooms.map((room) => manifestOf(join(checkout, 'libs', room))))).filter((manifest) => !manifest.private);
const names = packages.map(({ name }) => name);
const programs = packages.flatMap(({ bin = {} }) => Object.keys(bin));
const doors = packages.flatMap(({ name, exports = {} }) => Object.keys(exports).map((door) => join(name, door)));

async function pack(name: string, destination: string): Promise<Tarball> {
  const directory = join(checkout, 'libs', basename(name));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', destination], { cwd: directory });
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>);
  if (!packed) throw new Error(`npm packed nothing: ${stdout}`);
  const files = packed.files.map(({ path }) => path);
  return { ...(await manifestOf(directory)), directory, path: join(destination, basename(packed.filename)), files };
}

/** An empty project with these packages, and of what they ask for the versions that the checkout has. */
async function install(directory: string, tarballs: readonly Tarball[], more: readonly string[]): Promise<void> {
  await mkdir(directory);
  await writeFile(join(directory, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  const pinned = more.map(async (name) => {
    const { version } = JSON.parse(await readFile(join(checkout, 'node_modules', name, 'package.json'), 'utf8')) as { version: string };
    return `${name}@${version}`;
  });
  const specifiers = [...tarballs.map(({ path }) => path), ...(await Promise.all(pinned))];
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', ...specifiers], { cwd: directory });
}

describe('the packages, packed and installed into an empty project', () => {
  let temporary: string;
  let project: string;
  let tarballs: Map<string, Tarball>;

  const tarball = (name: string): Tarball => tarballs.get(name) as Tarball;

  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'loopstack-pack-'));
    project = join(temporary, 'project');
    tarballs = new Map();
    for (const name of names) tarballs.set(name, await pack(name, temporary));
    const peers = new Set(packages.flatMap(({ peerDependencies = {} }) => Object.keys(peerDependencies)));
    await install(project, [...tarballs.values()], [...peers, '@nestjs/platform-express', '@types/node']);
  }, 240_000);

  afterAll(() => rm(temporary, { recursive: true, force: true }));

  it.each(names)('%s holds its license and README, and neither tests nor build state', async (name) => {
    const { files, directory } = tarball(name);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter((file) => /\.(?:spec|e2e|test)\.|tsbuildinfo|\.d\.ts\.map$|tsconfig|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    expect(await readFile(join(directory, 'LICENSE'), 'utf8')).toBe(await readFile(join(checkout, 'LICENSE'), 'utf8'));
  });

  it.each(names)('%s gives publint nothing to say', async (name) => {
    const { path } = tarball(name);
    const bytes = await readFile(path);
    const packed = new Uint8Array(bytes).buffer;
    const { messages, pkg } = await publint({ pack: { tarball: packed }, strict: true, level: 'warning' });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it.each(doors)('%s can be imported by an ES module, and has all that it has here', async (door) => {
    const script = `console.log(JSON.stringify(Object.keys(await import('${door}'))))`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: project });
    const exported = JSON.parse(stdout) as string[];
    expect(exported).not.toEqual([]);
    expect(exported.toSorted()).toEqual(Object.keys((await import(door)) as object).toSorted());
  });

  it.each(doors)('%s can be required by a CommonJS module', async (door) => {
    const script = `console.log(typeof require('${door}'))`;
    const { stdout } = await run(process.execPath, ['--no-warnings', '--input-type=commonjs', '--eval', script], { cwd: project });
    expect(stdout).toBe('object\n');
  });

  it.each(programs)('the program %s runs', async (program) => {
    const { stdout } = await run(join(project, 'node_modules/.bin', program), ['--help']);
    expect(stdout).toContain(program);
  });

  it('types resolve for ES modules and CommonJS, and the examples of the READMEs compile', async () => {
    const sources: Record<string, string> = {
      'doors.mts': doors
        .map((door, i) => `import type * as door${i} from '${door}';\nexport type Door${i} = keyof typeof door${i};\n`)
        .join(''),
      'doors.cts': doors
        .map((door, i) => `import door${i} = require('${door}');\nexport type Door${i} = keyof typeof door${i};\n`)
        .join(''),
    };
    for (const name of names) {
      const readme = await readFile(join(project, 'node_modules', name, 'README.md'), 'utf8');
      const examples = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code as string);
      if (doors.includes(name)) expect(examples).not.toEqual([]);
      for (const [i, code] of examples.entries()) sources[`${basename(name)}-example-${i}.mts`] = code;
    }
    for (const [file, text] of Object.entries(sources)) await writeFile(join(project, file), text);
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023'],
      types: ['node'],
      strict: true,
      noEmit: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: false,
    };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(sources) }));
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', '.'], { cwd: project }).catch((error: { stdout: string }) => error);
    // Not ours to mend: declarations of `nats` name types of the DOM.
    expect(stdout.split('\n').filter((line) => line !== '' && !/^node_modules\/(?!@loopstack\/)/.test(line))).toEqual([]);
  });

  it('the client and the wire contract need no framework', async () => {
    const bare = join(temporary, 'bare');
    await install(
      bare,
      ['shared', 'jetstream', 'client'].map((name) => tarball(`@loopstack/${name}`)),
      [],
    );
    expect(await readdir(join(bare, 'node_modules'))).not.toContain('@nestjs');
    const script =
      "import '@loopstack/shared/contract'; const { LoopstackClient } = await import('@loopstack/client'); console.log(LoopstackClient.name);";
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: bare });
    expect(stdout).toBe('LoopstackClient\n');
  }, 120_000);

  it('the command line alone installs no framework', async () => {
    const bare = join(temporary, 'command-line');
    const its = ['shared', 'jetstream', 'client', 'operations', 'contract', 'nats-server', 'cli'];
    await install(
      bare,
      its.map((name) => tarball(`@loopstack/${name}`)),
      [],
    );
    expect(await readdir(join(bare, 'node_modules'))).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(@nestjs|rxjs)$/)]));
    const { stdout } = await run(join(bare, 'node_modules/.bin/loopstack'), ['runs', 'list', '--help']);
    expect(stdout).toContain('--status');
  }, 120_000);
});
