import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WorkerProcess } from './worker-process.js';

const examples = fileURLToPath(new URL('../docs/examples/', import.meta.url));

const works = (command: string, args: readonly string[], input = ''): boolean => spawnSync(command, args, { input }).status === 0;

interface Example {
  readonly name: string;
  readonly installed: boolean;
  readonly command: (folder: string) => readonly [string, ...string[]];
  readonly build?: (folder: string) => void;
}

const EXAMPLES: readonly Example[] = [
  {
    name: 'shell/publish.sh',
    installed: works('bash', ['-c', '((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 403))']),
    command: () => ['bash', join(examples, 'shell/publish.sh')],
  },
  {
    name: 'python/run.py',
    installed: works('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']),
    command: () => ['python3', join(examples, 'python/run.py')],
  },
  {
    name: 'c/run.c',
    installed: works('gcc', ['-E', '-x', 'c', '-'], '#include <nats/nats.h>\n'),
    build: (folder) => execFileSync('gcc', ['-Wall', '-Wextra', '-Werror', '-o', join(folder, 'run'), join(examples, 'c/run.c'), '-lnats']),
    command: (folder) => [join(folder, 'run')],
  },
];

const NATS_COMMAND = works('nats', ['--version']);

interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run([command, ...args]: readonly [string, ...string[]], url: string): Promise<Done> {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], NATS_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 40_000,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('a run from another language', () => {
  let server: NatsServer;
  let bare: NatsServer;
  let worker: WorkerProcess;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopstack-examples-'));
    [server, bare] = await Promise.all([startNatsServer(), startNatsServer()]);
    worker = await WorkerProcess.start({ NATS_URL: server.url });
    for (const { installed, build } of EXAMPLES) if (installed) build?.(folder);
  });

  afterAll(async () => {
    await worker?.stop('SIGKILL');
    await Promise.all([server?.stop(), bare?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it('is tried in at least one of them', () => {
    expect(EXAMPLES.filter(({ installed }) => installed)).not.toEqual([]);
  });

  for (const { name, installed, command } of EXAMPLES) {
    const onlyIf = installed ? it : it.skip;

    onlyIf(`${name} starts one and sees it succeed`, async () => {
      const message = 'She said "hello\\world" in Zürich — 日本. A second sentence follows.';
      const { code, stdout, stderr } = await run([...command(folder), message], server.url);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ type: 'succeeded', attempt: 1, result: { message } });
    });

    onlyIf(`${name} tells that one was refused`, async () => {
      const { code, stdout } = await run([...command(folder), ''], server.url);
      expect(JSON.parse(stdout)).toMatchObject({ type: 'failed', error: { code: 'PAYLOAD_INVALID' } });
      expect(code).toBe(1);
    });

    onlyIf(`${name} tells that nothing stores it`, async () => {
      const { code, stdout, stderr } = await run(command(folder), bare.url);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).not.toBe('');
    });
  }

  const onlyIf = NATS_COMMAND ? it : it.skip;

  onlyIf('shell/run.sh starts one with the nats command and sees it succeed', async () => {
    const { code, stdout } = await run(['sh', join(examples, 'shell/run.sh'), 'Hello from a shell.'], server.url);
    expect(code).toBe(0);
    expect(stdout).toContain('{"type":"succeeded"');
  });
});
