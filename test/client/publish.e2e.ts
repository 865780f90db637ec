import { LoopstackClient } from '@loopstack/client';
import { Publisher, headerBlock } from '@loopstack/jetstream';
import { HEADER, decodeRunCommand, newRunId, runIdOrigin, type LoopstackError, type RunHandle } from '@loopstack/shared/contract';
import { connect } from 'nats';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

describe('publishing run commands', () => {
  const rig = Rig.use('all');

  it('resolves with a handle once the server has stored the command', async () => {
    const run = await rig
      .client()
      .run('ProcessOrder', 'Orders', { orderId: 'o1' }, 'u1', { correlationId: 'c1', headers: { 'X-Tenant': 'äö' } });
    expect(run).toMatchObject({ ...ADDRESS, stream: names.streams.runs, duplicate: false });
    expect(runIdOrigin(run.id)).toBe('producer');
    const stored = await (await rig.nc.jetstreamManager()).streams.getMessage(names.streams.runs, { seq: run.sequence });
    expect(stored.subject).toBe('loopstack.run.Orders.ProcessOrder');
    expect(decodeRunCommand(stored.data)).toEqual({ payload: { orderId: 'o1' }, userId: 'u1' });
    expect(stored.header.get(HEADER.MSG_ID)).toBe(`Orders.ProcessOrder:${run.id}`);
    expect(stored.header.get(HEADER.RUN_ID)).toBe(run.id);
    expect(stored.header.get(HEADER.CORRELATION_ID)).toBe('c1');
    expect(stored.header.get('X-Tenant')).toBe('äö');
  });

  it('puts priorities on lanes and writes the deadline into a header', async () => {
    const before = Date.now();
    const run = await rig.client().run('ProcessOrder', 'Orders', {}, 'u1', { priority: 'high', expiresIn: '1h' });
    const stored = await (await rig.nc.jetstreamManager()).streams.getMessage(names.streams.runs, { seq: run.sequence });
    expect(stored.subject).toBe('loopstack.lane.high.Orders.ProcessOrder');
    const expires = Date.parse(stored.header.get(HEADER.EXPIRES_AT));
    expect(expires).toBeGreaterThanOrEqual(before + 3_600_000);
    expect(expires).toBeLessThanOrEqual(Date.now() + 3_600_000);
  });

  it('keeps the order of the calls', async () => {
    const client = rig.client();
    const runs = await Promise.all(Array.from({ length: 500 }, (_, i) => client.run('ProcessOrder', 'Orders', { i }, 'u1')));
    const sequences = runs.map((run) => run.sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });

  it('completes 100,000 runs started at once, with a bounded window', async () => {
    const nc = await rig.connect();
    const client = new LoopstackClient(nc, { publishTimeout: '5s' });
    const before = await rig.count(names.streams.runs);
    const started: Promise<RunHandle>[] = [];
    for (let i = 0; i < 100_000; i++) started.push(client.run('ProcessOrder', 'Orders', { i }, 'u1'));
    const runs = await Promise.all(started);
    expect(new Set(runs.map((run) => run.sequence)).size).toBe(100_000);
    expect((await rig.count(names.streams.runs)) - before).toBe(100_000);
    await client.close();
  }, 180_000);

  it('says to which server it could not connect', async () => {
    const gone = await Rig.start();
    await gone.end();
    const { port } = new URL(gone.server.url);
    const error = await errorOf(LoopstackClient.connect({ servers: `nats://me:secret@127.0.0.1:${port}` }));
    expect(error).toMatchObject({
      code: 'CONNECTION_FAILED',
      retryable: true,
      message: expect.stringContaining(`nats://127.0.0.1:${port}`) as string,
    });
    expect(error?.message).not.toContain('secret');
  });

  it.each([
    ['NAME_INVALID', () => rig.client().run('a.b', 'Orders', {}, 'u1')],
    ['NAME_INVALID', () => rig.client().run('ProcessOrder', '*', {}, 'u1')],
    ['USER_MISSING', () => rig.client().run('ProcessOrder', 'Orders', {}, '')],
    ['PAYLOAD_UNSERIALIZABLE', () => rig.client().run('ProcessOrder', 'Orders', { n: 1n }, 'u1')],
    ['PAYLOAD_TOO_LARGE', () => rig.client().run('ProcessOrder', 'Orders', { text: 'x'.repeat(1024 * 1024) }, 'u1')],
    ['OPTION_INVALID', () => rig.client().run('ProcessOrder', 'Orders', {}, 'u1', { headers: { 'Nats-Rollup': 'all' } })],
    ['OPTION_INVALID', () => rig.client().run('ProcessOrder', 'Orders', {}, 'u1', { headers: { 'X-A': 'a\r\nNats-Rollup: all' } })],
    ['OPTION_INVALID', () => rig.client().run('ProcessOrder', 'Orders', {}, 'u1', { delay: '1s', at: new Date() })],
    ['OPTION_INVALID', () => rig.client().run('ProcessOrder', 'Orders', {}, 'u1', { expiresIn: '1 h' as '1h' })],
  ])('refuses with %s and stores nothing', async (code, run) => {
    const before = await rig.count(names.streams.runs);
    expect(await codeOf(run())).toBe(code);
    expect(await rig.count(names.streams.runs)).toBe(before);
  });

  it('says PUBLISH_UNAVAILABLE where no stream listens, at once', async () => {
    const began = Date.now();
    const error = await errorOf(rig.client({ prefix: 'nobody' }).run('ProcessOrder', 'Orders', {}, 'u1'));
    expect(error.code).toBe('PUBLISH_UNAVAILABLE');
    expect(error.message).toContain('no responders');
    expect(Date.now() - began).toBeLessThan(3000);
  });

  it('says PUBLISH_TIMEOUT where a subscriber listens but never answers', async () => {
    const silent = rig.nc.subscribe('quiet.>', { callback: () => {} });
    const error = await errorOf(new Publisher(rig.nc, { timeoutMs: 200 }).publish('quiet.here', new Uint8Array(1)));
    expect(error.code).toBe('PUBLISH_TIMEOUT');
    expect(error.details['timeoutMs']).toBe(200);
    silent.unsubscribe();
  });

  it('does not take an answer for another message', async () => {
    const publisher = new Publisher(rig.nc, { timeoutMs: 100, maxInFlight: 1 });
    const late: string[] = [];
    const sub = rig.nc.subscribe('late.>', { callback: (_, msg) => void late.push(msg.reply as string) });
    expect(await codeOf(publisher.publish('late.one', new Uint8Array(1)))).toBe('PUBLISH_TIMEOUT');
    const second = publisher.publish('late.two', new Uint8Array(1));
    rig.nc.publish(late[0] as string, JSON.stringify({ stream: 'X', seq: 1 }));
    expect(await codeOf(second)).toBe('PUBLISH_TIMEOUT');
    sub.unsubscribe();
  });

  it('tells the sequence expectation that failed by err_code', async () => {
    const publisher = new Publisher(rig.nc);
    const subject = names.event(ADDRESS, newRunId());
    const expected = { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: '0' };
    await publisher.publish(subject, new Uint8Array(2), expected);
    const error = await errorOf(publisher.publish(subject, new Uint8Array(2), expected));
    expect(error).toMatchObject({ code: 'PUBLISH_REFUSED', details: { errCode: 10071 } });
  });

  it('tells each message of a group its own expectation that failed, and stores the others, also where two are of one subject', async () => {
    const publisher = new Publisher(rig.nc, { groupCommit: true });
    const first = headerBlock(`${HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE}: 0\r\n`);
    const receiver = { acknowledged: (): string => 'stored' };
    const subjects = Array.from({ length: 19 }, () => names.event(ADDRESS, newRunId()));
    const [twice] = subjects as [string];
    const publish = (subject: string): Promise<unknown> =>
      publisher.send(subject, new Uint8Array(2), first, 5000, receiver).catch(({ details }: LoopstackError) => details['errCode']);
    expect(await Promise.all([...subjects, twice].map(publish))).toEqual([...Array<string>(19).fill('stored'), 10071]);
  });

  it('says duplicate for a message id that was there, with the first sequence', async () => {
    const publisher = new Publisher(rig.nc);
    const headers = { [HEADER.MSG_ID]: 'once' };
    const first = await publisher.publish(names.run(ADDRESS), new Uint8Array(2), headers);
    expect(await publisher.publish(names.run(ADDRESS), new Uint8Array(2), headers)).toEqual({ ...first, duplicate: true });
  });

  it('refuses after close, and close waits for what is in flight', async () => {
    const publisher = new Publisher(rig.nc);
    const pending = publisher.publish(names.run(ADDRESS), new Uint8Array(2));
    await publisher.close();
    expect(await pending).toMatchObject({ duplicate: false });
    expect(await codeOf(publisher.publish(names.run(ADDRESS), new Uint8Array(2)))).toBe('CLOSED');
  });

  it('may be closed twice', async () => {
    const publisher = new Publisher(rig.nc);
    const pending = Array.from({ length: 5000 }, () => publisher.publish(names.run(ADDRESS), new Uint8Array(2)));
    await Promise.all([publisher.close(), publisher.close()]);
    await publisher.close();
    expect((await Promise.all(pending)).length).toBe(5000);
  });

  it('ends also what waits in the queue, within about twice its timeout, once nothing is acknowledged', async () => {
    const nc = await rig.connect();
    const client = new LoopstackClient(nc);
    await client.run('ProcessOrder', 'Orders', {}, 'u1');
    rig.server.signal('SIGSTOP');
    const began = performance.now();
    const runs = Array.from({ length: 5000 }, () => codeOf(client.run('ProcessOrder', 'Orders', {}, 'u1', { publishTimeout: '1s' })));
    const codes = new Set(await Promise.all(runs));
    expect(performance.now() - began).toBeLessThan(4000);
    await client.close();
    rig.server.signal('SIGCONT');
    // In flight nobody knows; what was never written is surely not stored.
    expect(codes).toEqual(new Set(['PUBLISH_TIMEOUT', 'PUBLISH_UNAVAILABLE']));
  });

  it('refuses what waits when the connection is closed under it', async () => {
    const nc = await rig.connect();
    const publisher = new Publisher(nc);
    const silent = rig.nc.subscribe('quiet.>', { callback: () => {} });
    await rig.nc.flush();
    const pending = codeOf(publisher.publish('quiet.here', new Uint8Array(1)));
    await nc.flush();
    await nc.close();
    expect(await pending).toBe('CLOSED');
    silent.unsubscribe();
  });
});

describe('a stream that is full', () => {
  let rig: Rig;
  afterEach(() => rig?.end());

  it('refuses with STREAM_FULL, keeps what is queued, and takes more when there is room', async () => {
    rig = await Rig.start({ runs: { max_msgs: 5 } });
    const client = rig.client();
    for (let i = 0; i < 5; i++) await client.run('ProcessOrder', 'Orders', { i }, 'u1');
    const error = await errorOf(client.run('ProcessOrder', 'Orders', {}, 'u1'));
    expect(error).toMatchObject({ code: 'STREAM_FULL', retryable: true, details: { stream: names.streams.runs } });
    expect(await rig.count(names.streams.runs)).toBe(5);
    await rig.api(`STREAM.PURGE.${names.streams.runs}`, { keep: 4 });
    await client.run('ProcessOrder', 'Orders', {}, 'u1');
  });

  it.each([
    ['max_bytes', { max_bytes: 2000 }],
    ['max_msgs_per_subject with discard_new_per_subject', { max_msgs_per_subject: 3, discard_new_per_subject: true }],
  ])('does so for %s', async (_, runs) => {
    rig = await Rig.start({ runs });
    const client = rig.client();
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => client.run('ProcessOrder', 'Orders', { i }, 'u1')));
    const refused = outcomes.flatMap((o) => (o.status === 'rejected' ? [(o.reason as { code: string }).code] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused)).toEqual(new Set(['STREAM_FULL']));
  });
});

describe('permissions', () => {
  it('a subject that the user may not publish to is refused at once, not by timeout', async () => {
    const config = `
      accounts { A { jetstream: enabled, users: [
        { user: admin, password: a }
        { user: narrow, password: n, permissions: { publish: ["loopstack.run.Orders.>"], subscribe: ["_INBOX_narrow.>"] } }
      ] } }`;
    const { startNatsServer } = await import('@loopstack/nats-server');
    const { provisionStreams } = await import('./streams.js');
    const server = await startNatsServer({ config });
    const admin = await connect({ servers: server.url, user: 'admin', pass: 'a' });
    await provisionStreams(admin);
    const nc = await connect({ servers: server.url, user: 'narrow', pass: 'n', inboxPrefix: '_INBOX_narrow' });
    const client = new LoopstackClient(nc);
    expect((await client.run('ProcessOrder', 'Orders', {}, 'u1')).sequence).toBe(1);
    const began = Date.now();
    const error = await errorOf(client.run('PayOut', 'Bank', {}, 'u1'));
    expect(error.code).toBe('PUBLISH_REFUSED');
    expect(Date.now() - began).toBeLessThan(2000);
    // A key works all the same: the worker claims it.
    expect((await client.run('ProcessOrder', 'Orders', {}, 'u1', { idempotencyKey: 'k' })).sequence).toBe(2);
    await client.close();
    await admin.close();
    await server.stop();
  });
});
