import { LoopstackClient } from '@loopstack/client';
import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { type NatsServer } from '@loopstack/nats-server';
import { nkeys, type NatsConnection } from 'nats';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { harness } from './rig/harness.js';
import { until } from './until.js';

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

function run([command, ...args]: readonly [string, ...string[]], url: string, env: Record<string, string> = {}): Promise<Done> {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], NATS_URL: url, ...env },
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
  const rig = harness();
  let bare: NatsServer;
  let folder: string;

  beforeAll(async () => {
    folder = await rig.makeFolder('examples');
    bare = await rig.startServer();
    await rig.startServer();
    await rig.startHttpWorker();
    for (const { installed, build } of EXAMPLES) if (installed) build?.(folder);
  });

  it('is tried in at least one of them', () => {
    expect(EXAMPLES.filter(({ installed }) => installed)).not.toEqual([]);
  });

  for (const { name, installed, command } of EXAMPLES) {
    const onlyIf = installed ? it : it.skip;

    onlyIf(`${name} starts one and sees it succeed`, async () => {
      const message = 'She said "hello\\world" in Zürich — 日本. A second sentence follows.';
      const { code, stdout, stderr } = await run([...command(folder), message], rig.url);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ type: 'succeeded', attempt: 1, result: { message } });
    });

    onlyIf(`${name} tells that one was refused`, async () => {
      const { code, stdout } = await run([...command(folder), ''], rig.url);
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
    const { code, stdout } = await run(['sh', join(examples, 'shell/run.sh'), 'Hello from a shell.'], rig.url);
    expect(code).toBe(0);
    expect(stdout).toContain('{"type":"succeeded"');
  });
});

interface Note {
  readonly runId: string;
  readonly userId: string;
  readonly message: string;
  readonly note: string | undefined;
}

const notes: Note[] = [];

@Workflow()
class MyWorkflow {
  run({ message }: { message: string }, { runId, userId, headers }: RunContext): { message: string } {
    notes.push({ runId, userId, message, note: headers['X-Note'] });
    return { message };
  }
}

@Workspace({ workflows: [MyWorkflow] })
class MyWorkspace {}

describe('a signed run from another language', () => {
  const WITH_PYTHON = works('python3', ['-c', 'import sys, cryptography; sys.exit(sys.version_info < (3, 9))']);
  const WITH_C = works('gcc', ['-E', '-x', 'c', '-'], '#include <openssl/evp.h>\n#if OPENSSL_VERSION_MAJOR < 3\n#error\n#endif\n');
  const address = { workspace: 'MyWorkspace', workflow: 'MyWorkflow' };
  const rig = harness();
  let server: NatsServer;
  let nc: NatsConnection;
  let client: LoopstackClient;
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = await rig.makeFolder('signed');
    const pair = nkeys.createUser();
    env = { LOOPSTACK_SIGN: join(folder, 'seed') };
    await writeFile(join(folder, 'seed'), `${new TextDecoder().decode(pair.getSeed())}\n`, { mode: 0o600 });
    server = await rig.startServer();
    const trust = { MyWorkspace: { signers: [pair.getPublicKey()] } };
    await rig.startApp([MyWorkflow, MyWorkspace], {}, { trust });
    nc = await rig.connect();
    client = rig.closeAtEnd(new LoopstackClient(nc));
    if (WITH_C) {
      const source = join(examples, 'c/signed.c');
      execFileSync('gcc', ['-Wall', '-Wextra', '-Werror', '-o', join(folder, 'signed'), source, '-lcrypto']);
    }
  });

  it('is tried in at least one of them', () => {
    expect(WITH_PYTHON || WITH_C).toBe(true);
  });

  const onlyWithPython = WITH_PYTHON ? it : it.skip;
  const onlyWithC = WITH_C ? it : it.skip;

  onlyWithPython('python/signed.py starts one and sees it succeed', async () => {
    const command = ['python3', '-B', join(examples, 'python/signed.py'), 'Hello — 日本'] as const;
    const { code, stdout, stderr } = await run(command, rig.url, env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ type: 'succeeded', result: { message: 'Hello — 日本' } });
    expect(notes.at(-1)).toMatchObject({ userId: 'python', note: 'Zürich — 日本' });
  });

  /** Writes to the server, as `nc` does; with another message than was signed where one is given. */
  async function write(runId: string, message: string, instead = message): Promise<void> {
    const { code, stdout, stderr } = await run([join(folder, 'signed'), runId, message], rig.url, env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const socket = connect(server.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.write(stdout.replace(message, instead));
    await until('the server has it', () => answer.includes('PONG'));
    socket.destroy();
    expect(answer).not.toContain('-ERR');
  }

  onlyWithC('c/signed.c writes one that is executed, and is not when it is changed', async () => {
    await write('c-changed', 'Hello', 'Hallo');
    await write('c-1', 'Hello — 日本');
    expect(await client.handle(address, 'c-1').result()).toEqual({ message: 'Hello — 日本' });
    expect(notes.filter(({ userId }) => userId === 'c')).toEqual([
      { runId: 'c-1', userId: 'c', message: 'Hello — 日本', note: 'Zürich — 日本' },
    ]);
  });
});
