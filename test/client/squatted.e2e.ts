import { LoopstackClient, commandSigner } from '@loopstack/client';
import { Publisher } from '@loopstack/jetstream';
import { HEADER, keyedRunId, messageId, newRunId, type LoopstackError, type RunHandle } from '@loopstack/shared/contract';
import { connect, headers as natsHeaders, nkeys, type NatsConnection } from 'nats';
import { messageIdsForgotten } from '../rig/measure.js';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

const ELSEWHERE = { workspace: 'Other', workflow: 'ProcessOrder' };

interface Stored {
  readonly subject: string;
  readonly runId: string;
  readonly messageId: string;
  readonly body: string;
  readonly header: (name: string) => string;
}

describe('message ids stored first by others', () => {
  let rig: Rig;
  let client: LoopstackClient;
  let keys = 0;
  const connections: NatsConnection[] = [];
  beforeAll(async () => {
    rig = await Rig.start();
    client = rig.client();
  });
  afterAll(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
    await rig.end();
  });

  /** As another producer does who knows how ids are made. */
  async function squat(subject: string, id: string, more: Record<string, string> = {}, body = '{"userId":"thief"}'): Promise<number> {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries({ [HEADER.MSG_ID]: id, ...more })) headers.set(name, value);
    const answer = await rig.nc.request(subject, body, { headers, timeout: 5000 });
    return answer.json<{ seq: number }>().seq;
  }

  async function at(stream: string, seq: number): Promise<Stored> {
    const { subject, header, data } = await (await rig.nc.jetstreamManager()).streams.getMessage(stream, { seq });
    const get = (name: string): string => header.get(name);
    return { subject, runId: get(HEADER.RUN_ID), messageId: get(HEADER.MSG_ID), body: new TextDecoder().decode(data), header: get };
  }

  const key = (): { idempotencyKey: string; id: string; runId: string } => {
    const idempotencyKey = `squatted-${++keys}`;
    const runId = keyedRunId(ADDRESS.workspace, ADDRESS.workflow, idempotencyKey);
    return { idempotencyKey, runId, id: messageId(ADDRESS, runId) };
  };
  const run = (idempotencyKey: string, by = client): Promise<RunHandle> =>
    by.run(ADDRESS.workflow, ADDRESS.workspace, { n: 1 }, 'u1', { idempotencyKey });

  it.each<[string, (runId: string) => [string, Record<string, string>]]>([
    ['another workspace', () => [names.run(ELSEWHERE), {}]],
    ['another workspace, with the run id', (runId) => [names.run(ELSEWHERE), { [HEADER.RUN_ID]: runId }]],
    ['another workflow, with the run id', (runId) => [names.run({ ...ADDRESS, workflow: 'Other' }), { [HEADER.RUN_ID]: runId }]],
    ['a lane of another workspace', (runId) => [names.run(ELSEWHERE, 'high'), { [HEADER.RUN_ID]: runId }]],
    ['a lane that nobody serves', (runId) => [`loopstack.lane.none.${ADDRESS.workspace}.${ADDRESS.workflow}`, { [HEADER.RUN_ID]: runId }]],
    ['the same workflow, with another run id', () => [names.run(ADDRESS), { [HEADER.RUN_ID]: 'mine' }]],
    ['the same workflow, without a run id', () => [names.run(ADDRESS), {}]],
    ['the marks of replays', () => ['loopstack.replay.x', {}]],
  ])('a message id stored for %s costs no keyed run', async (_, subjectFor) => {
    const { idempotencyKey, id, runId } = key();
    const [subject, more] = subjectFor(runId);
    const squatted = await squat(subject, id, more);
    const handle = await run(idempotencyKey);
    expect(handle).toMatchObject({ id: runId, duplicate: false });
    expect(handle.sequence).toBeGreaterThan(squatted);
    const stored = await at(names.streams.runs, handle.sequence);
    expect(stored).toMatchObject({ subject: names.run(ADDRESS), runId, body: expect.stringContaining('u1') });
    expect(stored.messageId.startsWith(`${id}~`)).toBe(true);
    // And it is once all the same.
    expect(await run(idempotencyKey)).toMatchObject({ id: runId, sequence: handle.sequence, duplicate: true });
  });

  it('a message id stored in another lane is a duplicate', async () => {
    const { idempotencyKey, id, runId } = key();
    const first = await squat(names.run(ADDRESS, 'high'), id, { [HEADER.RUN_ID]: runId }, '{"userId":"u1","payload":{"n":1}}');
    expect(await run(idempotencyKey)).toMatchObject({ id: runId, sequence: first, duplicate: true });
  });

  it('a stored message id costs no delayed run', async () => {
    const { idempotencyKey, id, runId } = key();
    const schedule = { 'Nats-Schedule': '@at 2099-01-01T00:00:00Z', 'Nats-Schedule-Target': names.due(ELSEWHERE) };
    await squat(names.schedule(ELSEWHERE, 'x'), id, schedule);
    const handle = await client.run(ADDRESS.workflow, ADDRESS.workspace, {}, 'u1', { idempotencyKey, delay: '1h' });
    expect(handle).toMatchObject({ id: runId, duplicate: false, sequence: 0 });
    const kept = await (
      await rig.nc.jetstreamManager()
    ).streams.getMessage(names.streams.schedules, { last_by_subj: names.schedule(ADDRESS, runId) });
    expect([kept.header.get(HEADER.RUN_ID), kept.header.get(HEADER.MSG_ID)]).toEqual([runId, expect.stringContaining(`${id}~`)]);
  });

  it('a purged message id costs no run', async () => {
    const { idempotencyKey, id } = key();
    const squatted = await squat(names.run(ELSEWHERE), id);
    await rig.api(`STREAM.MSG.DELETE.${names.streams.runs}`, { seq: squatted });
    expect((await at(names.streams.runs, (await run(idempotencyKey)).sequence)).subject).toBe(names.run(ADDRESS));
  });

  it('a stored message id costs no event run or redrive', async () => {
    const publisher = new Publisher(rig.nc);
    const eventRun = `${newRunId().slice(0, 14)}8${newRunId().slice(15, 19)}b${newRunId().slice(20)}`;
    for (const [id, headers] of [
      [messageId(ADDRESS, eventRun), { [HEADER.RUN_ID]: eventRun }],
      ['redrive:LOOPSTACK_DEAD:7', { [HEADER.RUN_ID]: newRunId(), [HEADER.REDRIVEN]: '1' }],
    ] as const) {
      await squat(names.run(ELSEWHERE), id, headers);
      const ack = await publisher.publish(names.run(ADDRESS), Buffer.from('{"userId":"u1"}'), { [HEADER.MSG_ID]: id, ...headers });
      expect(ack.duplicate).toBe(false);
      expect(await at(names.streams.runs, ack.sequence)).toMatchObject({ subject: names.run(ADDRESS), runId: headers[HEADER.RUN_ID] });
    }
    await publisher.close();
  });

  it('a command with another id is signed again', async () => {
    const signed: string[] = [];
    const own = commandSigner(new TextDecoder().decode(nkeys.createUser().getSeed()));
    const signer = rig.client({
      sign: (command) => {
        signed.push(command.headers[HEADER.MSG_ID] ?? '');
        return own(command);
      },
    });
    const { idempotencyKey, id } = key();
    await squat(names.run(ELSEWHERE), id);
    const stored = await at(names.streams.runs, (await run(idempotencyKey, signer)).sequence);
    expect(signed).toEqual([id, stored.messageId]);
    expect(stored.header(HEADER.SIGNATURE)).toMatch(/^2\./);
  });

  it('a taken message id rejects no batch', async () => {
    // Whoever listens to the subject sees the ids of a batch before it is committed.
    const items = Array.from({ length: 3 }, (_, n) => ({ ...ADDRESS, workflow: 'Batched', payload: { n }, userId: 'u1' }));
    const { overheard, taken } = await overheardClient();
    const runs = await overheard.fanOut(items);
    expect(taken()).toBeGreaterThan(0);
    for (const handle of runs) expect(await at(names.streams.runs, handle.sequence)).toMatchObject({ runId: handle.id });
  });

  /** A client whose first batch finds one of its ids taken. */
  async function overheardClient(): Promise<{ overheard: LoopstackClient; taken: () => number }> {
    const nc = await rig.connect();
    let last = 0;
    const raw = nc as unknown as { protocol: { sendCommand(frames: Uint8Array, ...more: Uint8Array[]): void } };
    const send = raw.protocol.sendCommand.bind(raw.protocol);
    let held = false;
    raw.protocol.sendCommand = (frames, ...more) => {
      const text = Buffer.from(frames).toString('latin1');
      const id = /Nats-Msg-Id: (Orders\.Batched:\S+)/.exec(text)?.[1];
      if (held || id === undefined || !text.includes('Nats-Batch-Commit')) return send(frames, ...more);
      held = true;
      void squat(names.run(ELSEWHERE), id).then((sequence) => {
        last = sequence;
        send(frames);
      });
    };
    connections.push(nc);
    return { overheard: new LoopstackClient(nc), taken: () => last };
  }
});

describe('idempotency keys', () => {
  const rig = Rig.use('all', { runs: { duplicate_window: 100_000_000 } });
  let client: LoopstackClient;
  let keys = 0;
  beforeAll(() => {
    client = rig.client();
  });

  const start = (idempotencyKey: string, payload: unknown = { a: 1, b: [2] }, user = 'u1', more: object = {}): Promise<RunHandle> =>
    client.run('ProcessOrder', 'Orders', payload, user, { idempotencyKey, ...more });
  const conflict = async (promise: Promise<unknown>): Promise<LoopstackError> => {
    const error = await errorOf(promise);
    expect(error).toMatchObject({ code: 'KEY_CONFLICT', statusCode: 409, retryable: false });
    return error;
  };
  /** Past the deduplication window. */
  const past = (): Promise<void> => messageIdsForgotten(rig.nc);

  it('a key stands for one payload and user', async () => {
    const key = `c${++keys}`;
    const first = await start(key);
    const expectAll = async (): Promise<void> => {
      expect((await conflict(start(key, { a: 2, b: [2] }))).details).toMatchObject({ runId: first.id, what: 'payload' });
      expect((await conflict(start(key, { a: 1, b: [2] }, 'u2'))).details).toMatchObject({ what: 'user' });
      expect((await conflict(start(key, {}, 'u2'))).message).toBe(
        `The idempotency key of run ${first.id} belongs to another payload and user`,
      );
      // The same data in another order, with another priority, deadline or delay.
      expect(await start(key, { b: [2], a: 1 }, 'u1', { priority: 'high' })).toMatchObject({ duplicate: true, sequence: first.sequence });
      expect(await start(key, { b: [2], a: 1 }, 'u1', { delay: '1h' })).toMatchObject({ duplicate: true, sequence: first.sequence });
    };
    await expectAll();
    await past();
    await expectAll();
    await rig.record(first.id, { type: 'started', sequence: first.sequence });
    await expectAll();
    await rig.record(first.id, { type: 'succeeded', sequence: first.sequence });
    await expectAll();
    // What only the stored command can tell: no event says what the key stands for.
    await rig.api(`STREAM.PURGE.${names.streams.events}`, { filter: names.event(ADDRESS, first.id) });
    await rig.record(first.id, { type: 'succeeded', sequence: first.sequence });
    await expectAll();
    // Nobody knows any more: it counts as the same.
    await rig.api(`STREAM.MSG.DELETE.${names.streams.runs}`, { seq: first.sequence });
    expect(await start(key, { a: 2 })).toMatchObject({ duplicate: true });
  });

  it('the key of a delayed run stands for its payload', async () => {
    const key = `c${++keys}`;
    const first = await start(key, { a: 1 }, 'u1', { delay: '1h' });
    await conflict(start(key, { a: 2 }, 'u1', { delay: '1h' }));
    await conflict(start(key, { a: 2 }));
    expect(await start(key, { a: 1 })).toMatchObject({ id: first.id, duplicate: true });
  });

  it('concurrent callers with different payloads share no key', async () => {
    const connections = await Promise.all(Array.from({ length: 4 }, () => connect({ servers: rig.server.url })));
    const clients = connections.map((nc) => new LoopstackClient(nc));
    for (let round = 0; round < 15; round++) {
      const key = `c${++keys}`;
      const settled = await Promise.allSettled(
        clients.map((by, n) => by.run('ProcessOrder', 'Orders', { n: n % 2 }, 'u1', { idempotencyKey: key })),
      );
      const won = settled.flatMap((one, n) => (one.status === 'fulfilled' ? [n % 2] : []));
      const lost = settled.flatMap((one, n) =>
        one.status === 'rejected' ? [{ n: n % 2, code: (one.reason as LoopstackError).code }] : [],
      );
      expect(new Set(won).size).toBe(1);
      expect(won.length).toBe(2);
      expect(lost).toEqual([
        { n: 1 - (won[0] as number), code: 'KEY_CONFLICT' },
        { n: 1 - (won[0] as number), code: 'KEY_CONFLICT' },
      ]);
    }
    await Promise.all(connections.map((nc) => nc.close()));
  });

  it('runMany refuses conflicting keys item by item', async () => {
    const idempotencyKey = `c${++keys}`;
    const items = [{ n: 1 }, { n: 2 }, { n: 1 }].map((payload) => ({ ...ADDRESS, payload, userId: 'u1', options: { idempotencyKey } }));
    const report = await client.runMany(items, { concurrency: 1 });
    expect(report).toMatchObject({ accepted: 2, duplicates: 1, failed: 1, failures: [{ index: 1, error: { code: 'KEY_CONFLICT' } }] });
  });

  it.each(['', 'a\nb', 'a\u0000', '\ud800', 5, null])('the key %j is refused', async (wrong) => {
    expect(await codeOf(start(wrong as string))).toBe('OPTION_INVALID');
  });
});
