import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';
import { build } from 'esbuild';
import webpack from 'webpack';
import { harness } from './rig/harness.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** An application that runs one workflow with a nested payload, prints the result and ends. */
const SOURCE = `
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LoopstackModule, RunService, Workflow, Workspace } from '@loopstack/core';
import { JetStreamServer, NatsModule } from '@loopstack/nats';
import { IsString, ValidateNested } from 'class-validator';
import { Type } from 'class-transformer';

class Address {
  @IsString() city!: string;
}
class ShipPayload {
  @ValidateNested() @Type(() => Address) address!: Address;
}
@Workflow({ payload: ShipPayload })
class ShipOrder {
  run({ address }: ShipPayload): string {
    return 'shipped to ' + address.city;
  }
}
@Workspace({ workflows: [ShipOrder] })
class OrdersWorkspace {}

@Module({
  imports: [LoopstackModule.forRoot(), NatsModule.forRoot({ servers: process.env.NATS_URL, prefix: process.env.PREFIX })],
  providers: [ShipOrder, OrdersWorkspace],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  app.connectMicroservice({ strategy: app.get(JetStreamServer) });
  await app.startAllMicroservices();
  await app.init();
  const run = await app.get(RunService).run(ShipOrder, OrdersWorkspace, { address: { city: 'Graz' } }, 'u1');
  console.log(await run.result({ timeout: '20s' }));
  process.exit(0);
}
main().catch((error: Error) => {
  console.log(error.message);
  process.exit(1);
});
`;
/** Packages that every one of these bundles leaves out; the \`@loopstack\` ones are each test's own matter. */
const LIBRARIES = [
  '@nestjs/*',
  'nats',
  'class-validator',
  'class-transformer',
  'reflect-metadata',
  'rxjs',
  'ajv',
  'ajv/*',
  'ajv-formats',
  'json-p3',
];
const OURS = ['@loopstack/*'];
const SHIPPED = 'shipped to Graz';

let directory: string;
const rig = harness();
let count = 0;

beforeAll(async () => {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Inside the checkout, so that the packages are found as in any application.
  directory = await mkdtemp(join(ROOT, '.cache/bundles-'));
  const { code } = await transform(SOURCE, {
    swcrc: false,
    module: { type: 'nodenext' },
    jsc: {
      target: 'es2023',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
  });
  await writeFile(join(directory, 'app.mjs'), code);
  await rig.startServer();
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** What the program prints. */
function outputOf(file: string): Promise<string> {
  const env = { PATH: process.env['PATH'], NATS_URL: rig.url, PREFIX: `bundle${++count}`, NODE_ENV: 'production' };
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { env, timeout: 60_000 }, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`.trim()));
  });
}

async function esbuilt(name: string, options: Parameters<typeof build>[0]): Promise<string> {
  const outdir = join(directory, name);
  await build({
    entryPoints: { main: join(directory, 'app.mjs') },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outdir,
    outExtension: { '.js': '.cjs' },
    logLevel: 'silent',
    ...options,
  });
  return outputOf(join(outdir, 'main.cjs'));
}

describe('an application bundled by esbuild', () => {
  it('runs with our packages left out', async () => {
    expect(await esbuilt('external', { external: [...LIBRARIES, ...OURS] })).toBe(SHIPPED);
  });

  it('runs with our packages inside and the lease thread beside it', async () => {
    const thread = fileURLToPath(import.meta.resolve('@loopstack/nats/lease-thread'));
    await build({
      entryPoints: [thread],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile: join(directory, 'inside/lease-thread.js'),
      external: LIBRARIES,
      logLevel: 'silent',
    });
    await writeFile(join(directory, 'inside/package.json'), '{"type":"commonjs"}');
    expect(await esbuilt('inside', { external: LIBRARIES })).toBe(SHIPPED);
  });

  it('says what to leave out where the lease thread is missing', async () => {
    expect(await esbuilt('alone', { external: LIBRARIES })).toMatch(/lease-thread\.js is missing.*external: \['@loopstack\/\*'\]/);
  });

  it('does not boot under names that the minifier made', async () => {
    const output = await esbuilt('minified', { external: [...LIBRARIES, ...OURS], minify: true });
    expect(output).toContain('looks as if a minifier had made it');
    expect(output).toContain("name: '…'");
    expect(output).not.toContain(SHIPPED);
  });

  it('runs minified with its names kept', async () => {
    expect(await esbuilt('kept', { external: [...LIBRARIES, ...OURS], minify: true, keepNames: true })).toBe(SHIPPED);
  });
});

describe('an application bundled by webpack', () => {
  const packed = async (name: string, minimize: boolean): Promise<string> => {
    const path = join(directory, name);
    const compiler = webpack({
      mode: 'production',
      target: 'node20',
      entry: join(directory, 'app.mjs'),
      output: { path, filename: 'main.cjs' },
      optimization: { minimize },
      externals: [
        ({ request }, callback) =>
          /^[@a-z]/.test(request ?? '') && !request?.startsWith('/') ? callback(undefined, `commonjs ${request}`) : callback(),
      ],
    });
    await new Promise<void>((resolve, reject) => {
      compiler.run((error, stats) => {
        if (error) reject(error);
        else if (stats?.hasErrors() === true) reject(new Error(stats.toString('errors-only')));
        else compiler.close(() => resolve());
      });
    });
    return outputOf(join(path, 'main.cjs'));
  };

  it('runs with our packages left out', async () => {
    expect(await packed('packed', false)).toBe(SHIPPED);
  });

  it('does not boot under names that the minifier made', async () => {
    expect(await packed('shrunk', true)).toContain('looks as if a minifier had made it');
  });
});

describe('two copies of a validation library', () => {
  it.each(['class-transformer', 'class-validator'])('of %s stop the boot, which names both paths', async (library) => {
    const home = join(directory, `two-${library}`);
    const copy = join(home, 'node_modules', library);
    await cp(join(ROOT, 'node_modules', library), copy, { recursive: true });
    await cp(join(directory, 'app.mjs'), join(home, 'app.mjs'));
    const output = await outputOf(join(home, 'app.mjs'));
    expect(output).toContain(`another copy of ${library}`);
    expect(output).toContain(copy);
    expect(output).toContain(join(ROOT, 'node_modules', library));
    expect(output).toContain('npm dedupe');
  });
});
