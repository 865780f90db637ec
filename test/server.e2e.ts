import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'nats';
import {
  PortTakenError,
  type NatsCluster,
  type NatsServer,
  readServerInfo,
  startNatsCluster,
  startNatsServer,
} from '@loopstack/nats-server';
import { childrenOf, commandOf, hasProc, isRunning } from './processes.js';
import { until } from './until.js';

async function store(url: string, data: string): Promise<number> {
  const nc = await connect({ servers: url });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'KEPT', subjects: ['kept'] });
  const { seq } = await nc.jetstream().publish('kept', data);
  await nc.close();
  return seq;
}

describe('a nats-server', () => {
  let server: NatsServer | undefined;
  afterEach(() => server?.stop());

  it('accepts connections and has JetStream when the start resolves', async () => {
    server = await startNatsServer();
    expect(await readServerInfo(server.url)).toMatchObject({ server_name: server.name, jetstream: true, port: server.port });
    expect(await store(server.url, 'a')).toBe(1);
  });

  it('has its acknowledged messages at the same port after a hard kill and a restart', async () => {
    server = await startNatsServer({ config: 'jetstream { sync_interval: always }' });
    const { url, pid } = server;
    await store(url, 'a');

    expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    expect(server.pid).toBeUndefined();
    await expect(readServerInfo(url)).rejects.toThrow('no nats-server answers');

    await server.restart();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    expect(await store(url, 'b')).toBe(2);
  });

  it('gets its port back although a client reconnects all the time', async () => {
    server = await startNatsServer();
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 1, reconnectJitter: 0, timeout: 1000 });
    for (let round = 0; round < 3; round += 1) {
      await server.kill();
      await server.restart();
    }
    await until('the client is connected', () =>
      nc.flush().then(
        () => true,
        () => false,
      ),
    );
    await nc.close();
  });

  it('takes configuration text, a configuration file and JetStream off', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    try {
      const first = await startNatsServer({ storeDir: directory, config: 'max_payload: 64KB', jetstream: false });
      expect(await readServerInfo(first.url)).toMatchObject({ max_payload: 65_536 });
      expect((await readServerInfo(first.url)).jetstream).toBeUndefined();
      await first.stop();

      const configFile = join(directory, 'nats-server.conf');
      server = await startNatsServer({ configFile, config: 'authorization { token: secret }' });
      expect(await readServerInfo(server.url)).toMatchObject({ max_payload: 65_536, auth_required: true });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('leaves nothing behind when it is stopped, but a store directory that was given', async () => {
    const temporary = await startNatsServer();
    const { pid, storeDir } = temporary;
    await temporary.stop();
    await temporary.stop();
    expect(await isRunning(pid!)).toBe(false);
    expect(existsSync(storeDir)).toBe(false);
    await expect(temporary.restart()).rejects.toThrow('stopped for good');

    const given = await mkdtemp(join(tmpdir(), 'loopstack-test-'));
    try {
      const first = await startNatsServer({ storeDir: given });
      await store(first.url, 'a');
      await first.stop();
      server = await startNatsServer({ storeDir: given });
      expect(await store(server.url, 'b')).toBe(2);
    } finally {
      await server?.stop();
      await rm(given, { recursive: true });
    }
  });

  it('tells that its end was seen', async () => {
    server = await startNatsServer();
    process.kill(server.pid!, 'SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('ends when its abort signal fires', async () => {
    const abort = new AbortController();
    server = await startNatsServer({ signal: abort.signal });
    const { exited, storeDir } = server;
    abort.abort();
    await exited;
    await until('the store is removed', () => !existsSync(storeDir));
    await expect(startNatsServer({ signal: abort.signal })).rejects.toThrow('abort');
  });

  it('says which port is taken, and quotes its log when the configuration is wrong', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    try {
      if (address === null || typeof address === 'string') throw new Error('no port');
      await expect(startNatsServer({ port: address.port })).rejects.toThrow(PortTakenError);
    } finally {
      other.close();
    }
    await expect(startNatsServer({ config: 'no_such_field: 1' })).rejects.toThrow(/no_such_field/);
  });
});

describe('a parent that is killed hard', () => {
  const PARENT = `
    import { startNatsServer, startNatsCluster } from '@loopstack/nats-server';
    const one = await startNatsServer();
    const three = await startNatsCluster();
    console.log(JSON.stringify([one, ...three.nodes].map((s) => [s.pid, s.storeDir])));
  `;

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('takes its servers and their data with it (%s)', async (signal) => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const servers = JSON.parse(line) as [number, string][];
    expect(servers).toHaveLength(4);
    for (const [pid, storeDir] of servers) {
      expect(await isRunning(pid)).toBe(true);
      expect(existsSync(storeDir)).toBe(true);
    }

    parent.kill(signal);
    for (const [pid, storeDir] of servers) {
      await until(`server ${pid} has ended`, async () => !(await isRunning(pid)), 30_000);
      await until(`${storeDir} is removed`, () => !existsSync(storeDir));
    }
  });

  const onlyIf = hasProc ? it : it.skip;
  onlyIf('also when its whole process group is killed, and when the guardian was killed before', async () => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const servers = JSON.parse(line) as [number, string][];
    const guardianOf = async () => (await childrenOf(parent.pid!)).find((pid) => !servers.some(([server]) => server === pid));
    const first = await guardianOf();
    expect(first).toBeDefined();
    process.kill(first!, 'SIGKILL');
    await until('a new guardian that knows the servers', async () => {
      const next = await guardianOf();
      // Before its exec it is a copy of the parent, in the parent's process group.
      return next !== first && next !== undefined && (await commandOf(next)).includes(String(servers[0]![0]));
    });

    process.kill(-parent.pid!, 'SIGKILL');
    for (const [pid] of servers) await until(`server ${pid} has ended`, async () => !(await isRunning(pid)), 30_000);
  });
});

describe('a cluster of three', () => {
  let cluster: NatsCluster;
  beforeAll(async () => {
    cluster = await startNatsCluster();
  });
  afterAll(() => cluster?.stop());

  it('keeps what three replicas acknowledged when the leader is killed, and takes it back', async () => {
    const nc = await connect({ servers: cluster.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const jsm = await nc.jetstreamManager();
    const stream = await jsm.streams.add({ name: 'KEPT', subjects: ['kept'], num_replicas: 3 });
    // The other nodes learn a moment later where the subject is stored.
    const stored = (text: string): Promise<unknown> =>
      until(`${text} is stored`, () => nc.jetstream().publish('kept', text, { msgID: text }));
    await stored('a');

    const leader = cluster.node(stream.cluster?.leader);
    await leader!.kill();
    await cluster.ready();
    expect(await cluster.leader()).not.toBe(leader);
    await until('the stream has a new leader', async () => {
      const info = await jsm.streams.info('KEPT').catch(() => undefined);
      return info?.cluster?.leader !== undefined && info.cluster.leader !== leader!.name;
    });
    await stored('b');

    await leader!.restart();
    await cluster.ready();
    await until('all replicas are current', async () => {
      const { cluster: state } = await jsm.streams.info('KEPT');
      return state?.replicas?.length === 2 && state.replicas.every((peer) => peer.current);
    });
    expect((await jsm.streams.info('KEPT')).state.messages).toBe(2);
    await nc.close();
  });
});
