import { LoopstackClient } from '@loopstack/client';
import { type NatsConnectionLike } from '@loopstack/jetstream';
import { type NatsServer } from '@loopstack/nats-server';
import { wireNames } from '@loopstack/shared';
import type { NatsConnection } from 'nats';
import { harness } from '../rig/harness.js';
import { provisionStreams } from '../client/streams.js';
import { readStream } from '../rig/measure.js';
import { until } from '../until.js';
import { CLIENTS } from './clients.js';

const names = wireNames();

const ACCOUNTS = `
accounts { A { jetstream: enabled, users: [
  { user: admin, password: a }
  { user: narrow, password: n, permissions: { publish: ["loopstack.run.Orders.>"], subscribe: ["_INBOX_narrow.>"] } }
] } }`;

describe.each(CLIENTS)('a producer over a connection of %s', (_, connect) => {
  const rig = harness();
  let server: NatsServer;
  let admin: NatsConnection;
  let nc: NatsConnectionLike;

  beforeAll(async () => {
    server = await rig.startServer({ config: ACCOUNTS });
    admin = await rig.connect({ user: 'admin', pass: 'a' });
    await provisionStreams(admin);
  });
  beforeEach(async () => {
    nc = await connect(rig.url, { user: 'admin', pass: 'a' });
  });
  afterEach(() => nc.close());

  it('is told at once of a subject to which it may not publish', async () => {
    const narrow = await connect(rig.url, { user: 'narrow', pass: 'n', inboxPrefix: '_INBOX_narrow' });
    const client = new LoopstackClient(narrow, { publishTimeout: '1h' });
    expect((await client.run('Ship', 'Orders', {}, 'u1')).sequence).toBeGreaterThan(0);
    await expect(client.run('PayOut', 'Bank', {}, 'u1')).rejects.toMatchObject({ code: 'PUBLISH_REFUSED' });
    await client.close();
    await narrow.close();
  });

  it('reads the server’s clock, and says so where the server does not tell it', async () => {
    const client = new LoopstackClient(nc);
    await client.clock.settled();
    expect(client.clock.finding).toBeUndefined();
    const narrow = await connect(rig.url, { user: 'narrow', pass: 'n', inboxPrefix: '_INBOX_narrow' });
    const blind = new LoopstackClient(narrow);
    await blind.clock.settled();
    expect(blind.clock.finding).toContain('the server has not told its time');
    await Promise.all([client.close(), blind.close()]);
    await narrow.close();
  });

  it('says what no stream takes', async () => {
    const client = new LoopstackClient(nc, { prefix: 'elsewhere' });
    await expect(client.run('Ship', 'Orders', {}, 'u1')).rejects.toMatchObject({ code: 'PUBLISH_UNAVAILABLE' });
    await expect(client.list({ workspace: 'Orders' })).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE' });
    await client.close();
  });

  it('stores every run once while its connection is cut again and again', async () => {
    const proxy = await rig.startProxy();
    const over = await connect(proxy.url, { user: 'admin', pass: 'a' });
    const client = new LoopstackClient(over, { publishTimeout: '20s' });
    const handles: Promise<{ readonly id: string }>[] = [];
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 200; i++) handles.push(client.run('Ship', 'Orders', { round, i }, 'u1'));
      await handles.at(-200);
      proxy.cut();
    }
    const ids = (await Promise.all(handles)).map(({ id }) => id);
    const stored = (await readStream(admin, names.streams.runs)).map(({ header }) => header('Loopstack-Run-Id'));
    expect(ids.every((id) => stored.filter((one) => one === id).length === 1)).toBe(true);
    await client.close();
    await over.close();
  });

  it('publishes after a restart of the server what was asked of it meanwhile', async () => {
    const client = new LoopstackClient(nc, { publishTimeout: '20s' });
    await server.kill('SIGKILL');
    await until('the connection is lost', () => nc.info === undefined);
    const late = client.run('Ship', 'Orders', { late: true }, 'u1');
    const quick = new LoopstackClient(nc, { whileDisconnected: 'fail' });
    await expect(quick.run('Ship', 'Orders', {}, 'u1')).rejects.toMatchObject({ code: 'PUBLISH_UNAVAILABLE' });
    await server.restart();
    const { id, sequence } = await late;
    expect(await client.get({ workspace: 'Orders', workflow: 'Ship', id })).toMatchObject({ status: 'queued', sequence });
    await Promise.all([client.close(), quick.close()]);
  });

  it('ends what waits when its connection is drained, and refuses what comes after', async () => {
    const client = new LoopstackClient(nc);
    const run = await client.run('Ship', 'Orders', {}, 'u1');
    const waiting = run.result({ timeout: '1h' }).catch((error: { readonly code?: string }) => error.code);
    await nc.flush();
    await (nc as NatsConnection).drain();
    expect(await waiting).toBe('CLOSED');
    await expect(client.run('Ship', 'Orders', {}, 'u1')).rejects.toMatchObject({ code: 'CLOSED' });
    await client.close();
  });

  it('leaves a connection open that it was given', async () => {
    const client = new LoopstackClient(nc);
    await client.run('Ship', 'Orders', {}, 'u1');
    await client.close();
    expect(nc.isClosed()).toBe(false);
    await nc.flush();
  });
});
