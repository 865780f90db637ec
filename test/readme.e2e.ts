import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import { connect } from 'nats';
import { ProcessOrderPayload, ProcessOrderWorkflow } from '../src/orders/workflows/process-order.workflow.js';
import { until } from './until.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface CodeFile {
  readonly name: string;
  readonly code: string;
}

/** The code blocks of a page that name their file in their first line. */
function filesIn(page: string): readonly CodeFile[] {
  return [...page.matchAll(/^( *)```ts\n([\s\S]*?)^ *```/gm)]
    .map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
    .flatMap((code) => {
      const name = /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1];
      return name === undefined ? [] : [{ name, code }];
    });
}

/** Compiles files into the folder `out` beside them, as a new application would. */
async function compile(folder: string, files: readonly CodeFile[]): Promise<void> {
  for (const { name, code } of files) await writeFile(join(folder, name), code);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const options = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    outDir: 'out',
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch((error: { stdout: string }) => {
    throw new Error(`the code does not compile:\n${error.stdout}`);
  });
}

/** A folder in the checkout, so that the packages are found as in an application that has installed them. */
async function newFolder(): Promise<string> {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  return mkdtemp(join(ROOT, '.cache/readme-'));
}

describe('the README', () => {
  let page: string;

  beforeAll(async () => {
    page = await readFile(join(ROOT, 'README.md'), 'utf8');
  });

  it('leads to a workflow of its own: its files compile, start, and answer as it says', async () => {
    const folder = await newFolder();
    const port = await freePort();
    let server: NatsServer | undefined;
    let app: ChildProcess | undefined;
    try {
      server = await startNatsServer();
      const files = filesIn(page);
      expect(files.map(({ name }) => name)).toEqual(['greet.workflow.ts', 'app.module.ts', 'main.ts', 'app.controller.ts']);
      const served = files.map(({ name, code }) => ({ name, code: code.replace('listen(3001)', `listen(${port}, '127.0.0.1')`) }));
      await compile(folder, served);
      let log = '';
      app = spawn(process.execPath, [join(folder, 'out/main.js')], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, NODE_OPTIONS: '', NATS_URL: server.url },
      });
      for (const stream of [app.stdout, app.stderr]) stream?.on('data', (chunk: Buffer) => (log += chunk.toString()));

      const greet = async (): Promise<unknown> => {
        const response = await fetch(`http://127.0.0.1:${port}/greet`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"name":"Ada"}',
        });
        return response.json();
      };
      expect(await until(`an answer; the log is ${log}`, greet, 40_000)).toEqual({ greeting: 'Hello Ada' });

      const [, subject = '', body = ''] = /nats pub (loopstack\.run\.Greetings\S+) '(.*)'/.exec(page) ?? [];
      const nc = await connect({ servers: server.url });
      await nc.jetstream().publish(subject, body);
      await until('the run that a message starts', () => log.includes('for u1'));
      await nc.close();
    } finally {
      app?.kill('SIGKILL');
      await server?.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('begins with a command that the worker of npm start takes', async () => {
    const [, workflow, body = ''] = /nats pub loopstack\.run\.OrdersWorkspace\.(\S+) \\\n +'(.*)'/.exec(page) ?? [];
    expect(workflow).toBe(ProcessOrderWorkflow.name);
    const { payload, userId } = JSON.parse(body) as { payload: object; userId: string };
    expect(userId).toBe('u1');
    expect(await validate(plainToInstance(ProcessOrderPayload, payload), { whitelist: true, forbidNonWhitelisted: true })).toEqual([]);
  });
});

describe('the pages of docs', () => {
  it.each([
    ['workflows.md', ['import-customers.workflow.ts', 'only-bob.guard.ts', 'crm.service.ts']],
    ['deployment.md', ['worker.ts', 'configured.module.ts', 'two-clusters.module.ts', 'health.controller.ts']],
  ])('%s has files that compile beside those of the README', async (page, names) => {
    const folder = await newFolder();
    try {
      const files = filesIn(await readFile(join(ROOT, 'docs', page), 'utf8'));
      expect(files.map(({ name }) => name)).toEqual(names);
      await compile(folder, [...filesIn(await readFile(join(ROOT, 'README.md'), 'utf8')), ...files]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
