import { LoopstackClient, commandSigner } from '@loopstack/client';
import { headerBlock } from '@loopstack/jetstream';
import { DeadLetters, Replays, type NatsOptions } from '@loopstack/nats';
import { RunService, Schedule, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, keyedRunId, messageId, newRunId, type Duration, type Headers, type RunItem, headerLines } from '@loopstack/shared';
import type { INestMicroservice } from '@nestjs/common';
import { headers as natsHeaders, nkeys, type JetStreamManager, type MsgHdrs, type NatsConnection } from 'nats';
import { startApp } from './rig/app.js';
import { harness } from './rig/harness.js';
import { readEvents, readStream, type Stored } from './rig/measure.js';
import { until } from './until.js';

interface Job {
  readonly id: string;
  /** Attempts that fail. */
  readonly fails?: number;
  /** Starts another run, and one when it has succeeded. */
  readonly starts?: string;
}

interface Seen {
  readonly id: string;
  readonly runId: string;
  readonly userId: string;
  readonly attempt: number;
  readonly headers: Headers;
}

const seen: Seen[] = [];
const gates = new Map<string, Promise<void>>();
const seenOf = (id: string): readonly Seen[] => seen.filter((one) => one.id === id);

function close(id: string): () => void {
  let open: () => void = () => undefined;
  gates.set(id, new Promise((resolve) => (open = resolve)));
  return open;
}

@Workflow({
  concurrency: 2,
  retry: { attempts: 3, delay: '10ms' },
  priorities: true,
  then: [{ workflow: 'After', when: ({ starts }: Job) => starts !== undefined }],
})
class Charge {
  constructor(private readonly runs: RunService) {}

  async run({ id, fails = 0, starts }: Job, { runId, attempt, headers, userId }: RunContext): Promise<Job> {
    seen.push({ id, runId, userId, attempt, headers });
    await gates.get(id);
    if (attempt <= fails) throw new Error('as it was told to');
    if (starts === undefined) return { id };
    await this.runs.run(Charge, Payments, { id: starts }, userId);
    return { id: `${starts}, then`, starts };
  }
}

@Workflow({ on: [{ subject: 'orders.created', map: ({ id }: Job) => ({ id }), userId: 'shop' }] })
class After {
  run({ id }: Job, { runId, userId, attempt, headers }: RunContext): void {
    seen.push({ id, runId, userId, attempt, headers });
  }
}

@Workspace({ workflows: [Charge, After] })
class Payments {}

@Workspace({ workflows: [After] })
class Elsewhere {}

const pair = nkeys.createUser();
const seed = new TextDecoder().decode(pair.getSeed());
const sign = commandSigner(seed);
const trust = { Payments: { signers: [pair.getPublicKey()] } };

describe('a workspace that requires signatures', () => {
  const rig = harness();
  let worker: INestMicroservice;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  let client: LoopstackClient;
  let dead: DeadLetters;

  const start = (options: NatsOptions = {}): Promise<INestMicroservice> =>
    rig.startApp([Charge, After, Payments], { sign, inbound: true, ...options }, { trust });

  beforeAll(async () => {
    await rig.startServer();
    worker = await start();
    dead = worker.get(DeadLetters);
    nc = await rig.connect();
    jsm = await nc.jetstreamManager();
    client = rig.closeAtEnd(new LoopstackClient(nc, { sign }));
  });

  const item = (id: string, options?: RunItem['options']): RunItem => ({
    workflow: 'Charge',
    workspace: 'Payments',
    payload: { id },
    userId: 'u1',
    ...(options ? { options } : {}),
  });
  const run = (id: string, options?: RunItem['options']) => client.run('Charge', 'Payments', { id }, 'u1', options);
  const commands = (): Promise<readonly Stored[]> => readStream(nc, 'LOOPSTACK_RUNS');
  const historyOf = async (runId: string): Promise<readonly string[]> =>
    ((await readEvents(nc, 'LOOPSTACK_EVENTS')).get(runId) ?? []).map(({ type }) => type);
  const letterOf = (sequence: number) =>
    until('its dead letter', async () => (await dead.list({ limit: 1000 })).find((letter) => letter.sequence === sequence));

  /** A command of a producer in another language. */
  async function send(headers: Headers, body: string, signs = true): Promise<number> {
    const subject = 'loopstack.run.Payments.Charge';
    const data = Buffer.from(body);
    const all = signs ? { ...headers, ...sign({ subject, headers, data }) } : headers;
    const raw = { encode: () => headerBlock(headerLines(all)) } as unknown as MsgHdrs;
    const answer = await nc.request(subject, data, { headers: raw, timeout: 5000 });
    return (JSON.parse(new TextDecoder().decode(answer.data)) as { seq: number }).seq;
  }

  it.each<readonly [string, RunItem['options']]>([
    ['headers of its own', { headers: { 'X-Note': 'Zürich — 日本', 'x-note': '', 'content-type': 'application/json', 'ce-id': '1' } }],
    ['a correlation and a deadline', { correlationId: 'c', expiresIn: '1h' }],
    ['high priority', { priority: 'high' }],
    ['low priority', { priority: 'low' }],
    ['a key', { idempotencyKey: 'k' }],
    ['a delay', { delay: '300ms' }],
    ['a delay, a key and a priority', { delay: '300ms', idempotencyKey: 'k2', priority: 'high', headers: { 'X-Note': 'late' } }],
  ])('a signed run with %s executes', async (name, options) => {
    const handle = await run(name, options);
    expect(await handle.result()).toEqual({ id: name });
    expect(seenOf(name)).toHaveLength(1);
    expect(seenOf(name)[0]?.headers).toMatchObject(options?.headers ?? {});
  });

  it('a key is one run, with and without a delay', async () => {
    const options = { idempotencyKey: 'twice' };
    const [one, two] = await Promise.all([run('twice', options), run('twice', options)]);
    expect(one.id).toBe(two.id);
    await one.result();
    expect((await run('twice', { ...options, delay: '1s' })).duplicate).toBe(true);
    expect(seenOf('twice')).toHaveLength(1);
  });

  it('signed batches execute', async () => {
    const handles = await client.fanOut(Array.from({ length: 20 }, (_, i) => item(`fan ${i}`)));
    await Promise.all(handles.map((handle) => handle.result()));
    const { accepted, failed } = await client.runMany(Array.from({ length: 400 }, (_, i) => item(`bulk ${i}`)));
    expect({ accepted, failed }).toEqual({ accepted: 400, failed: 0 });
    await until('all have run', () => seen.filter(({ id }) => id.startsWith('bulk')).length >= 400);
    const gathering = new LoopstackClient(nc, { sign, groupCommit: true });
    const grouped = await Promise.all(
      Array.from({ length: 50 }, (_, i) => gathering.run('Charge', 'Payments', { id: `group ${i}` }, 'u1')),
    );
    await Promise.all(grouped.map((handle) => handle.result()));
    await gathering.close();
    const untrusted = (await dead.list({ limit: 1000 })).filter(({ reason }) => reason === 'untrusted');
    expect(untrusted).toEqual([]);
  });

  it.each<readonly [string, (id: string) => Promise<Headers>]>([
    ['unsigned', () => Promise.resolve({})],
    ['signed by a stranger', (id) => forged(id, {})],
    ['signed by a stranger who names another signer', (id) => forged(id, { [HEADER.SIGNER]: pair.getPublicKey() })],
    [
      'signed as it was for another body',
      (id) => Promise.resolve(sign({ subject: 'loopstack.run.Payments.Charge', headers: idsOf(id), data: Buffer.from('{"userId":"u1"}') })),
    ],
  ])('an unsigned command stored first, %s, takes no key', async (name, signature) => {
    const id = `squatted, ${name}`;
    const body = JSON.stringify({ payload: { id }, userId: 'u1' });
    const first = await send({ ...idsOf(id), ...(await signature(id)) }, body, false);
    const handle = await run(id, { idempotencyKey: id });
    expect(handle.sequence).toBeGreaterThan(first);
    expect(await handle.result({ timeout: '5s' })).toEqual({ id });
    expect(await run(id, { idempotencyKey: id })).toMatchObject({ sequence: handle.sequence, duplicate: true });
    expect(seenOf(id)).toHaveLength(1);
  });

  it('a schedule stored first takes no key of a delayed run', async () => {
    const id = 'squatted, delayed';
    const body = JSON.stringify({ payload: { id }, userId: 'u1' });
    const headers = natsHeaders();
    const schedule = { 'Nats-Schedule': '@at 2099-01-01T00:00:00Z', 'Nats-Schedule-Target': 'loopstack.due.Payments.Charge' };
    for (const [name, value] of Object.entries({ ...idsOf(id), ...schedule })) headers.set(name, value);
    await nc.request(`loopstack.schedule.Payments.Charge.${idsOf(id)[HEADER.RUN_ID]}`, body, { headers, timeout: 5000 });
    const handle = await run(id, { idempotencyKey: id, delay: '300ms', priority: 'high' });
    expect(await handle.result({ timeout: '5s' })).toEqual({ id });
    expect(await run(id, { idempotencyKey: id, delay: '300ms' })).toMatchObject({ id: handle.id, duplicate: true });
    expect(seenOf(id)).toHaveLength(1);
  });

  it.each<RunItem['options']>([{ delay: '1h' }, { delay: '1h', priority: 'high' }, {}])(
    'callers who use a key at the same time (%j) store one command',
    async (options) => {
      const id = `at the same time, ${JSON.stringify(options)}`;
      const before = (await jsm.streams.info('LOOPSTACK_SCHEDULES')).state.last_seq;
      const second = await rig.connect();
      const others = [client, new LoopstackClient(second, { sign })];
      const runs = await Promise.all(others.map((by) => by.run('Charge', 'Payments', { id }, 'u1', { ...options, idempotencyKey: id })));
      expect(new Set(runs.map((one) => one.id)).size).toBe(1);
      if (options?.delay === undefined) {
        expect(await runs[0]?.result()).toEqual({ id });
        expect((await commands()).filter(({ header }) => header(HEADER.RUN_ID) === runs[0]?.id)).toHaveLength(1);
      } else {
        expect((await jsm.streams.info('LOOPSTACK_SCHEDULES')).state.last_seq - before).toBe(1);
        await runs[0]?.cancel();
      }
      expect(seenOf(id)).toHaveLength(options?.delay === undefined ? 1 : 0);
    },
  );

  /** What anybody can compute. */
  function idsOf(key: string): Headers {
    const address = { workspace: 'Payments', workflow: 'Charge' };
    const runId = keyedRunId('Payments', 'Charge', key);
    return { [HEADER.MSG_ID]: messageId(address, runId), [HEADER.RUN_ID]: runId };
  }

  function forged(id: string, more: Headers): Promise<Headers> {
    const stranger = commandSigner(new TextDecoder().decode(nkeys.createUser().getSeed()));
    const data = Buffer.from(JSON.stringify({ payload: { id }, userId: 'u1' }));
    return Promise.resolve({ ...stranger({ subject: 'loopstack.run.Payments.Charge', headers: idsOf(id), data }), ...more });
  }

  it('signed runs count attempts, and signers redrive them', async () => {
    const handle = await client.run('Charge', 'Payments', { id: 'retried', fails: 2 }, 'u1');
    await handle.result();
    expect(seenOf('retried').map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    const failing = await client.run('Charge', 'Payments', { id: 'redriven', fails: 3 }, 'u1', { correlationId: 'c' });
    const letter = await letterOf(failing.sequence);
    expect(await dead.redrive(letter.deadSequence)).toMatchObject({ failed: [] });
    await until('it has failed again', async () => (await historyOf(failing.id)).filter((type) => type === 'failed').length === 2);
    expect(seenOf('redriven').map(({ attempt, headers }) => [attempt, headers[HEADER.REDRIVEN]])).toEqual([
      [1, undefined],
      [2, undefined],
      [3, undefined],
      [1, '1'],
      [2, '1'],
      [3, '1'],
    ]);
  });

  it('runs, outcomes and events start signed runs', async () => {
    const handle = await client.run('Charge', 'Payments', { id: 'parent', starts: 'child' }, 'u1');
    await handle.result();
    await until('the run that it starts', () => seenOf('child').length > 0);
    await until('the run behind it', () => seenOf('child, then').length > 0);
    expect(seenOf('child')[0]?.headers[HEADER.CAUSE]).toBe(handle.id);
    await nc.request('orders.created', '{"id":"of an event"}');
    await until('the run of an event', () => seenOf('of an event').length > 0);
    expect(seenOf('of an event')[0]).toMatchObject({ userId: 'shop' });
  });

  it('signers replay runs as new and as the same', async () => {
    const handle = await client.run('Charge', 'Payments', { id: 'replayed', fails: 3 }, 'u1', { headers: { 'X-Note': 'kept' } });
    await letterOf(handle.sequence);
    const replays = worker.get(Replays);
    const slice = { workspace: 'Payments', fromSequence: handle.sequence, toSequence: handle.sequence };
    expect((await replays.start({ ...slice, as: 'same-run', outcome: 'failed' })).counts).toMatchObject({ published: 1 });
    await until('it has failed again', async () => (await historyOf(handle.id)).filter((type) => type === 'failed').length === 2);
    expect((await replays.start({ ...slice, as: 'new-run' })).counts).toMatchObject({ published: 1 });
    await until('a new run has failed', () => seenOf('replayed').length === 9);
    expect(new Set(seenOf('replayed').map(({ runId }) => runId)).size).toBe(2);
    expect(seenOf('replayed').map(({ headers }) => headers['X-Note'])).toEqual(Array.from({ length: 9 }, () => 'kept'));
  });

  it('a worker that stops gives back what it has not started, and no attempt is lost', async () => {
    const open = close('busy');
    try {
      // A worker takes commands ahead while it settles many: those at the end of a burst are there when the burst is done.
      const burst = Array.from({ length: 400 }, (_, i) => run(`burst ${i}`));
      const behind = [run('busy'), run('busy'), run('waiting')] as const;
      const [, , waiting] = await Promise.all(behind);
      await Promise.all(burst);
      await until('its places are taken', () => seenOf('busy').length === 2);
      await until('it is held', async () => (await jsm.consumers.info('LOOPSTACK_RUNS', 'Payments~Charge')).num_ack_pending === 3);
      const stopping = worker.close();
      await until('it is given back', async () => (await historyOf(waiting.id)).includes('queued'));
      open();
      await stopping;
      worker = await start();
      dead = worker.get(DeadLetters);
      await waiting.result();
    } finally {
      open();
    }
    expect(seenOf('waiting').map(({ attempt }) => attempt)).toEqual([1]);
  });

  it('a copied delayed command starts nothing', async () => {
    const handle = await run('later', { delay: '1h' });
    const { message } = await api<{ message: { hdrs: string; data: string } }>('STREAM.MSG.GET.LOOPSTACK_SCHEDULES', {
      last_by_subj: `loopstack.schedule.Payments.Charge.${handle.id}`,
    });
    const early = Buffer.from(message.hdrs, 'base64')
      .toString()
      .replaceAll(/^Nats-.*\r\n/gm, '');
    expect(await publish(early, Buffer.from(message.data, 'base64'))).toMatchObject({
      message: expect.stringContaining('before its time'),
    });
    await handle.cancel();

    const open = close('due');
    const due = await run('due', { delay: '300ms' });
    await until('it is executed', () => seenOf('due').length > 0);
    const stored = (await commands()).find((one) => one.header(HEADER.RUN_ID) === due.id) as Stored;
    const copy = await readBlock(stored.sequence);
    const { sequence } = await publishRaw(copy.block.replaceAll(/^Nats-.*\r\n/gm, ''), copy.data);
    await until('the copy is settled', async () => {
      const { delivered, num_ack_pending: held } = await jsm.consumers.info('LOOPSTACK_RUNS', 'Payments~Charge');
      return held === 1 && delivered.stream_seq >= sequence;
    });
    open();
    await due.result();
    expect(seenOf('due')).toHaveLength(1);
    expect(await historyOf(due.id)).toEqual(['queued', 'succeeded']);
  });

  const api = async <T>(request: string, query: object): Promise<T> =>
    JSON.parse(new TextDecoder().decode((await nc.request(`$JS.API.${request}`, JSON.stringify(query))).data)) as T;
  const readBlock = async (sequence: number): Promise<{ readonly block: string; readonly data: Buffer }> => {
    const { message } = await api<{ message: { hdrs: string; data: string } }>('STREAM.MSG.GET.LOOPSTACK_RUNS', { seq: sequence });
    return { block: Buffer.from(message.hdrs, 'base64').toString(), data: Buffer.from(message.data, 'base64') };
  };
  const publishRaw = async (block: string, data: Buffer): Promise<{ readonly sequence: number }> => {
    const headers = { encode: () => Buffer.from(block) } as unknown as MsgHdrs;
    const answer = await nc.request('loopstack.run.Payments.Charge', data, { headers, timeout: 5000 });
    const { seq, error } = JSON.parse(new TextDecoder().decode(answer.data)) as { seq: number; error?: { description: string } };
    if (error) throw new Error(error.description);
    return { sequence: seq };
  };
  const publish = async (block: string, data: Buffer) => letterOf((await publishRaw(block, data)).sequence);

  it('a signed CloudEvent is one run in both modes', async () => {
    const attributes = (id: string) => ({ 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/s', 'ce-type': 't', 'ce-userid': 'u%201' });
    for (const copy of [1, 2]) await send({ [HEADER.MSG_ID]: `Payments.Charge:binary-${copy}`, ...attributes('1') }, '{"id":"binary"}');
    const structured = { specversion: '1.0', id: '2', source: '/s', type: 't', userid: 'u2', data: { id: 'structured' } };
    await send({ [HEADER.MSG_ID]: 'Payments.Charge:structured' }, JSON.stringify(structured));
    await send(
      { [HEADER.MSG_ID]: 'Payments.Charge:nest', [HEADER.RUN_ID]: newRunId() },
      '{"pattern":"p","data":{"userId":"u3","payload":{"id":"nest"}}}',
    );
    await until('all have run', () => seenOf('nest').length > 0 && seenOf('structured').length > 0);
    expect(seen.filter(({ id }) => ['binary', 'structured', 'nest'].includes(id)).map(({ id, userId }) => [id, userId])).toEqual(
      expect.arrayContaining([
        ['binary', 'u 1'],
        ['structured', 'u2'],
        ['nest', 'u3'],
      ]),
    );
    expect(seenOf('binary')).toHaveLength(1);
  });

  it.each<readonly [string, Headers]>([
    ['a message id', { [HEADER.RUN_ID]: newRunId() }],
    ['a run id', { [HEADER.MSG_ID]: 'Payments.Charge:x' }],
  ])('a signed command without %s is refused', async (what, headers) => {
    const letter = await letterOf(await send(headers, `{"userId":"u1","payload":{"id":"without ${what}"}}`));
    expect(letter).toMatchObject({ reason: 'untrusted', code: 'UNTRUSTED' });
    expect(seenOf(`without ${what}`)).toEqual([]);
  });

  it('an unserved unsigned command ends no other run', async () => {
    // In a worker of another workspace: its trust is that of all.
    const other = await startApp(
      [After, Elsewhere],
      { servers: rig.url, prefix: 'unserved', inbound: true, sign, runs: { unservedAfter: '2s' } },
      { trust: { '*': trust.Payments } },
    );
    const producer = new LoopstackClient(nc, { prefix: 'unserved', sign });
    for (const one of [producer, other]) rig.closeAtEnd(one);
    const signed = await producer.run('Nobody', 'Payments', { id: 'x' }, 'u1');
    const claimed = await producer.run('Nobody', 'Payments', { id: 'y' }, 'u1', { delay: '1h' });
    const headers = { encode: () => headerBlock(headerLines({ [HEADER.RUN_ID]: claimed.id })) } as unknown as MsgHdrs;
    await nc.request('unserved.run.Payments.Nobody', '{"userId":"u1"}', { headers, timeout: 5000 });
    const letters = await until('both are dead letters', async () => {
      const found = await other.get(DeadLetters).list({ workflow: 'Nobody' });
      return found.length === 2 ? found : undefined;
    });
    expect(letters.map(({ reason }): string => reason).sort()).toEqual(['unroutable', 'untrusted']);
    await expect(signed.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await claimed.status()).toMatchObject({ status: 'queued' });
    await claimed.cancel();
  });

  it('operators sign refused commands only by name', async () => {
    const sequence = await send({ [HEADER.RUN_ID]: 'claimed' }, '{"userId":"admin","payload":{"id":"laundered"}}', false);
    const letter = await letterOf(sequence);
    const report = await dead.redrive({ workspace: 'Payments', runId: letter.runId });
    expect(report).toMatchObject({ done: [], failed: [{ deadSequence: letter.deadSequence, code: 'UNTRUSTED' }] });
    const replays = worker.get(Replays);
    const slice = { workspace: 'Payments', fromSequence: sequence, toSequence: sequence };
    expect((await replays.start(slice)).counts).toMatchObject({ published: 0, invalid: 1 });
    const letters = { source: 'dead' as const, fromSequence: letter.deadSequence, toSequence: letter.deadSequence };
    expect((await replays.start(letters)).counts).toMatchObject({ published: 0, invalid: 1 });
    expect(seenOf('laundered')).toEqual([]);
    expect((await replays.start({ ...letters, reason: 'untrusted' })).counts).toMatchObject({ published: 1 });
    expect(await dead.redrive({ reason: 'untrusted', runId: letter.runId })).toMatchObject({ done: [letter.deadSequence] });
    await until('it was executed twice', () => seenOf('laundered').length === 2);
  });
});

describe('a worker that requires signatures refuses to start', () => {
  const rig = harness();
  let nc: NatsConnection;
  beforeAll(async () => {
    await rig.startServer();
    nc = await rig.connect();
  });

  it.each<readonly [string, NatsOptions, RegExp]>([
    [
      'message ids',
      { runs: { deduplication: '3m' } },
      /^runs\.deduplication is 180000 ms, shorter than trust\.Payments\.maxValidity \(240000 ms\)/,
    ],
    ['events', { runs: { deduplication: '4m' }, events: { maxAge: '3m' } }, /^events\.maxAge is 180000 ms/],
  ])('the boot stops if %s are forgotten too early', async (_, options, message) => {
    const boot = (maxValidity: Duration): Promise<INestMicroservice> =>
      startApp(
        [Charge, After, Payments],
        { servers: rig.url, inbound: true, ...options },
        { trust: { Payments: { ...trust.Payments, maxValidity } } },
      );
    await expect(boot('4m')).rejects.toMatchObject({ code: 'BOOT_FAILED', message: expect.stringMatching(message) });
    const worker = await boot('3m');
    await worker.close();
  });

  it('the boot stops if a foreign stream forgets ids', async () => {
    const worker = await startApp([Charge, After, Payments], { servers: rig.url, inbound: true }, { trust });
    await worker.close();
    const jsm = await nc.jetstreamManager();
    const { config } = await jsm.streams.info('LOOPSTACK_RUNS');
    await jsm.streams.update('LOOPSTACK_RUNS', { ...config, duplicate_window: 0 });
    const bound = startApp([Charge, After, Payments], { servers: rig.url, provision: false, runs: { deduplication: 0 } }, { trust });
    await expect(bound).rejects.toMatchObject({ code: 'BOOT_FAILED', message: expect.stringMatching(/^runs\.deduplication is 0 ms/) });
  });

  it('the boot stops at a @Schedule without a signer', async () => {
    @Schedule({ every: '1h' })
    @Workflow()
    class Hourly {
      run(): void {}
    }
    @Workspace({ workflows: [Hourly] })
    class Planned {}
    const signed = startApp([Hourly, Planned], { servers: rig.url, prefix: 'planned' }, { trust: { '*': trust.Payments } });
    await expect(signed).rejects.toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/@Schedule of Hourly, default: .* @Cron/),
    });
    await rig.startApp([Hourly, Planned], { prefix: 'planned' });
  });
});
