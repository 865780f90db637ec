import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { findNatsServer, pickPort, startNatsServer } from '@loopstack/nats-server';
import { commandOf, descendantsOf, hasProc, isRunning } from './processes.js';
import { until } from './until.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

// A start takes 2 s on an idle machine, and 15 s on one that is busy with other tests; some tests start several times.
jest.setTimeout(240_000);

/** A command with what it printed. */
class Command {
  output = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  constructor(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
    // As a newcomer's shell has it: without what npm, Jest and the environment of this test run add.
    const clean = Object.fromEntries(['PATH', 'HOME', 'TMPDIR'].map((name) => [name, process.env[name]]));
    this.#child = spawn(command, args, { cwd, env: { ...clean, NO_COLOR: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.exited = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve({ code, signal })));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async says(what: string | RegExp): Promise<void> {
    await until(
      `it says ${what}`,
      () => {
        if (this.output.match(what)) return true;
        if (!this.isRunning) throw new Error(`it ended without saying ${what}:\n${this.output}`);
        return false;
      },
      90_000,
    );
  }
}

/** A port that somebody has. */
async function taken(port = 0): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => socket.destroy()).listen(port);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, server };
}

const close = (server: Server) => new Promise((resolve) => server.close(resolve));

describe('npm start', () => {
  let checkout: string;
  let env: NodeJS.ProcessEnv;
  let command: Command | undefined;

  /** A checkout with its own sources, results and data; only the installed packages are linked. */
  beforeAll(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    for (const entry of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.base.json', 'src', 'libs', 'config', 'dist']) {
      await cp(join(ROOT, entry), join(checkout, entry), { recursive: true, preserveTimestamps: true });
    }
    await mkdir(join(checkout, 'node_modules/@loopstack'), { recursive: true });
    for (const entry of await readdir(join(ROOT, 'node_modules'))) {
      if (entry !== '@loopstack') await symlink(join(ROOT, 'node_modules', entry), join(checkout, 'node_modules', entry));
    }
    for (const entry of await readdir(join(checkout, 'libs'))) {
      await symlink(join(checkout, 'libs', entry), join(checkout, 'node_modules/@loopstack', entry));
    }
    const bin = join(checkout, '.cache/bin');
    await mkdir(bin, { recursive: true });
    const { path } = await findNatsServer();
    env = { PATH: [bin, dirname(path), process.env['PATH']].join(delimiter), PORT: '0', NATS_PORT: '0' };
    await writeFile(join(bin, 'curl'), CURL);
    await writeFile(join(bin, 'nats'), NATS);
    await chmod(join(bin, 'curl'), 0o755);
    await chmod(join(bin, 'nats'), 0o755);
  });

  afterEach(async () => {
    command?.kill('SIGTERM');
    await command?.exited;
    command = undefined;
  });
  afterAll(() => rm(checkout, { recursive: true, maxRetries: 3 }));

  async function start(extra: NodeJS.ProcessEnv = {}): Promise<Command> {
    command = new Command('npm', ['start'], checkout, { ...env, ...extra });
    await command.says('is ready');
    await command.says('Ctrl-C stops everything');
    return command;
  }

  /** The commands that it proposes, without the comments. */
  const proposals = (output: string) => {
    const block = /Try next.*?\n([\s\S]*)Ctrl-C/.exec(output)![1]!;
    return block
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  };

  async function shell(script: string): Promise<string> {
    const run = new Command('sh', ['-ec', script], checkout, env);
    const { code } = await run.exited;
    if (code !== 0) throw new Error(`${script}\n${run.output}`);
    return run.output;
  }

  it('runs a server and a worker; every command that it proposes works; Ctrl-C ends all', async () => {
    const first = await start();
    const [post, pub, node, token, get, submit, ...others] = proposals(first.output) as [string, string, string, string, string, string];
    expect(others).toEqual([]);
    expect(JSON.parse(await shell(post))).toMatchObject({ message: 'Automation run is queued.' });
    await shell(pub);
    expect(await until('the receipt', async () => /"totalCents":900/.exec(await shell(`${token}\n${get}`))?.[0])).toBe('"totalCents":900');
    await shell(node);
    expect(JSON.parse(await shell(`${token}\n${submit}`))).toMatchObject({ status: 'processing' });

    const processes = hasProc ? await descendantsOf(first.pid) : [];
    first.kill('SIGINT');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    for (const pid of processes) await until(`process ${pid} has ended: ${await commandOf(pid)}`, async () => !(await isRunning(pid)));
  });

  it('has nothing to set up a second time, and has kept data and secret', async () => {
    const first = await start();
    await shell(proposals(first.output)[1]!);
    const token = proposals(first.output)[3]!;
    await until('the receipt', async () => (await shell(`${token}\n${proposals(first.output)[4]}`)).includes('totalCents'));
    first.kill('SIGINT');
    await first.exited;

    const second = await start();
    expect(second.output).not.toMatch(/building|installing|fetching/);
    expect(await shell(`${token}\n${proposals(second.output)[4]}`)).toContain('totalCents');
  });

  it('takes the next free ports and says so', async () => {
    const nats = await taken(await pickPort());
    const http = await taken(await pickPort());
    try {
      const { output } = await start({ NATS_PORT: String(nats.port), PORT: String(http.port) });
      expect(output).toContain(`port ${nats.port} is taken: nats-server listens on ${nats.port + 1}`);
      expect(output).toContain(`port ${http.port} is taken: the worker listens on ${http.port + 1}`);
      expect((await fetch(`http://localhost:${http.port + 1}/health/live`)).status).toBe(200);
    } finally {
      await close(nats.server);
      await close(http.server);
    }
  });

  const onlyIf = hasProc ? it : it.skip;
  onlyIf.each(['starter', 'npm'])('leaves nothing behind when its %s is killed hard, and starts again on the same data', async (victim) => {
    const killed = await start();
    const processes = await descendantsOf(killed.pid);
    const commands = await Promise.all(processes.map(commandOf));
    const starter = processes[commands.findIndex((line) => line.includes('start.mjs'))]!;
    expect(commands.some((line) => line.includes('nats-server'))).toBe(true);
    expect(commands.some((line) => line.includes('dist/main.js'))).toBe(true);

    process.kill(victim === 'npm' ? killed.pid : starter, 'SIGKILL');
    const again = await start();
    expect(again.output).toMatch(/data in \.data\/nats$/m);
    for (const pid of processes) await until(`process ${pid} has ended: ${await commandOf(pid)}`, async () => !(await isRunning(pid)));
  });

  onlyIf.each([
    ['worker', 'dist/main.js'],
    ['nats-server', 'nats-server -a'],
  ])('ends with an error when its %s ends', async (name, part) => {
    const running = await start();
    const processes = await descendantsOf(running.pid);
    const commands = await Promise.all(processes.map(commandOf));
    process.kill(processes[commands.findIndex((line) => line.includes(part))]!, 'SIGKILL');
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(running.output).toContain(`the ${name} ended`);
    for (const pid of processes) await until(`process ${pid} has ended: ${await commandOf(pid)}`, async () => !(await isRunning(pid)));
  });

  it('gives a second one of the same checkout data of its own', async () => {
    await start();
    const second = new Command('npm', ['start'], checkout, env);
    try {
      await second.says('is ready');
      expect(second.output).toMatch(/another npm start of this checkout runs/);
      expect(second.output).toMatch(/data in \.data\/nats-\d+$/m);
    } finally {
      second.kill('SIGTERM');
      expect(await second.exited).toEqual({ code: 0, signal: null });
    }
  });

  it('uses the server of NATS_URL and leaves it alone', async () => {
    const server = await startNatsServer();
    try {
      const running = await start({ NATS_URL: server.url });
      expect(running.output).toMatch(new RegExp(`NATS +${server.url} .*NATS_URL`));
      running.kill('SIGINT');
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(server.pid).toBeDefined();
    } finally {
      await server.stop();
    }
  });

  it.each([
    ['is too old', { version: '2.10.1', jetstream: true }, 'runs nats-server 2.10.1; 2.12.0 or later is needed'],
    ['has no JetStream', { version: '2.15.1' }, 'has no JetStream'],
  ])('refuses a server of NATS_URL that %s', async (_, info, message) => {
    const old = createServer((socket) => socket.write(`INFO ${JSON.stringify(info)}\r\n`)).listen(0);
    await once(old, 'listening');
    const { port } = old.address() as { port: number };
    try {
      const refused = new Command('npm', ['start'], checkout, { ...env, NATS_URL: `nats://user:secret@127.0.0.1:${port}` });
      expect(await refused.exited).toEqual({ code: 1, signal: null });
      expect(refused.output).toContain(message);
      expect(refused.output).not.toContain('secret');
    } finally {
      await close(old);
    }
  });

  it('says which port is none', async () => {
    const refused = new Command('npm', ['start'], checkout, { ...env, PORT: '70000' });
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.output).toContain('PORT is "70000", which is no port');
  });
});

describe('set-up', () => {
  let checkout: string;
  let setUps: Command[];

  /** A checkout whose npm and compiler only note that they were called. */
  beforeEach(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    setUps = [];
    await cp(join(ROOT, 'src/dev'), join(checkout, 'src/dev'), { recursive: true });
    await mkdir(join(checkout, 'libs/one/src'), { recursive: true });
    for (const file of ['tsconfig.json', 'libs/one/tsconfig.json', 'libs/one/src/index.ts']) await writeFile(join(checkout, file), '');
    await writeFile(join(checkout, 'package.json'), JSON.stringify({ engines: { node: '>=20.19.0' } }));
    await locked({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b-win32': { version: '1.0.0', optional: true } });
    await writeFile(join(checkout, 'npm.mjs'), NPM);
  });
  afterEach(async () => {
    await Promise.all(setUps.map(({ exited }) => exited));
    await rm(checkout, { recursive: true });
  });

  const locked = (packages: object) => writeFile(join(checkout, 'package-lock.json'), JSON.stringify({ packages }));
  const calls = () => (existsSync(join(checkout, 'calls')) ? readFileSync(join(checkout, 'calls'), 'utf8').trim().split('\n') : []);

  function setUp(...args: string[]): Command {
    const command = new Command(process.execPath, [join(checkout, 'src/dev/setup.mjs'), ...args], checkout, {
      npm_execpath: join(checkout, 'npm.mjs'),
    });
    setUps.push(command);
    return command;
  }

  it('installs and builds once, and then does nothing', async () => {
    const first = setUp();
    expect((await first.exited).code).toBe(0);
    expect(first.output).toMatch(/installing[\s\S]*building/);
    expect(calls()).toEqual([expect.stringMatching(/^npm ci --include=dev/), 'tsc -b .']);

    const second = setUp();
    expect((await second.exited).code).toBe(0);
    expect(second.output).toBe('');
    expect(calls()).toHaveLength(2);
  });

  it('installs again when the lock file names another version, and not for a package of another platform', async () => {
    await setUp('install').exited;
    expect(calls()).toHaveLength(1);
    await locked({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/c-darwin': { version: '1.0.0', optional: true } });
    await setUp('install').exited;
    expect(calls()).toHaveLength(1);
    await locked({ 'node_modules/a': { version: '1.0.1' } });
    await setUp('install').exited;
    expect(calls()).toHaveLength(2);
  });

  it.each<[string, (directory: string) => Promise<unknown>]>([
    ['a source changed', (directory) => appendFile(join(directory, 'libs/one/src/index.ts'), '// more')],
    ['a source is new', (directory) => writeFile(join(directory, 'src/new.ts'), '')],
    ['a source was touched', (directory) => utimes(join(directory, 'libs/one/src/index.ts'), 1, 1)],
    ['a configuration changed', (directory) => appendFile(join(directory, 'libs/one/tsconfig.json'), '{}')],
    ['a result is gone', (directory) => rm(join(directory, 'dist'), { recursive: true })],
  ])('builds again when %s', async (_, change) => {
    await setUp().exited;
    await change(checkout);
    await setUp().exited;
    expect(calls().filter((call) => call.startsWith('tsc'))).toHaveLength(2);
    await setUp().exited;
    expect(calls()).toHaveLength(3);
  });

  it('fails with the build, and builds again next time', async () => {
    await writeFile(join(checkout, 'broken'), '');
    const failed = setUp();
    expect((await failed.exited).code).toBe(1);
    expect(failed.output).toContain('failed (2)');
    await rm(join(checkout, 'broken'));
    expect((await setUp().exited).code).toBe(0);
    expect(calls().filter((call) => call.startsWith('tsc'))).toHaveLength(2);
  });

  it('is done once when two ask for it at the same time, also after one that was killed', async () => {
    await mkdir(join(checkout, '.cache'));
    await writeFile(join(checkout, '.cache/setup.lock'), '999999999');
    const codes = await Promise.all([setUp().exited, setUp().exited]);
    expect(codes.map(({ code }) => code)).toEqual([0, 0]);
    expect(calls()).toHaveLength(2);
  });

  it('says that a Node.js is too old', async () => {
    await writeFile(join(checkout, 'package.json'), JSON.stringify({ engines: { node: '>=99.1.0' } }));
    const refused = setUp();
    expect((await refused.exited).code).toBe(1);
    expect(refused.output).toContain('Node.js 99.1 or later is needed');
  });
});

describe('npm test', () => {
  it('passes its arguments on to Jest, and its exit code back', async () => {
    const listed = new Command('npm', ['test', '--silent', '--', '--listTests', 'dev-commands'], ROOT);
    expect(await listed.exited).toEqual({ code: 0, signal: null });
    expect(listed.output.match(/^\/.*$/gm)).toEqual([fileURLToPath(import.meta.url)]);
    const refused = new Command('npm', ['test', '--silent', '--', 'no-file-has-this-name'], ROOT);
    expect((await refused.exited).code).toBe(1);
  });
});

describe('.ci/run', () => {
  it.each([
    ['3 passed, 0 failed', 0, { numPassedTests: 3, numFailedTests: 0, numRuntimeErrorTestSuites: 0 }, '0', '0'],
    ['3 passed, 2 failed', 1, { numPassedTests: 3, numFailedTests: 1, numRuntimeErrorTestSuites: 1 }, '0', '1'],
    ['3 passed, 1 failed', 1, { numPassedTests: 3, numFailedTests: 0, numRuntimeErrorTestSuites: 0 }, '1', '0'],
    ['0 passed, 1 failed', 1, undefined, '0', '1'],
  ])('ends with %s', async (line, exitCode, results, failedSteps, testExitCode) => {
    const directory = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    try {
      const file = join(directory, 'results.json');
      if (results) await writeFile(file, JSON.stringify({ ...results, testResults: [] }));
      const summary = new Command(process.execPath, [join(ROOT, '.ci/summary.mjs'), file, failedSteps, testExitCode], ROOT);
      expect((await summary.exited).code).toBe(exitCode);
      expect(summary.output.trimEnd().split('\n').at(-1)).toBe(line);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

/** As much of curl as the proposals use, for machines without it. */
const CURL = `#!/usr/bin/env node
const headers = {};
let method = 'GET', body, url;
for (let args = process.argv.slice(2); args.length > 0; ) {
  const arg = args.shift();
  if (arg === '-X') method = args.shift();
  else if (arg === '-d') body = args.shift();
  else if (arg === '-H') { const [name, value] = args.shift().split(': '); headers[name] = value; }
  else url = arg;
}
const response = await fetch(url, { method, headers, body });
process.stdout.write(await response.text());
`;

/** As much of the nats command as the proposals use. */
const NATS = `#!/usr/bin/env node
const { connect } = await import('nats');
const [flag, servers, verb, subject, body] = process.argv.slice(2);
if (flag !== '-s' || verb !== 'pub') throw new Error('nats -s <url> pub <subject> <body>');
const nc = await connect({ servers });
nc.publish(subject, body);
await nc.drain();
`;

/** An npm that notes its call and installs a compiler that notes its own. */
const NPM = `
import { appendFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
appendFileSync('calls', 'npm ' + process.argv.slice(2).join(' ') + '\\n');
mkdirSync('node_modules/typescript/bin', { recursive: true });
writeFileSync('node_modules/typescript/bin/tsc', \`
  const { appendFileSync, existsSync, mkdirSync, writeFileSync } = require('node:fs');
  appendFileSync('calls', 'tsc ' + process.argv.slice(2).join(' ') + '\\\\n');
  if (existsSync('broken')) process.exit(2);
  for (const directory of ['dist', 'libs/one/dist']) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(directory + '/.tsbuildinfo', String(Math.random()));
  }
  writeFileSync('dist/main.js', '');
\`);
cpSync('package-lock.json', 'node_modules/.package-lock.json');
`;
