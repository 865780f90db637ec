import { jest } from '@jest/globals';
import { HEADER, LoopstackError, runIdOrigin } from '@loopstack/shared/contract';
import { readStream } from '../rig/measure.js';
import { until } from '../until.js';
import { ADDRESS, ReplayRig, names } from './rig.js';

const OTHER = { workspace: 'Orders', workflow: 'CancelOrder' };
const numbers = (stored: readonly { readonly payload: unknown }[]): number[] =>
  stored.map(({ payload }) => (payload as { number: number }).number);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof LoopstackError) return error.code;
  throw error instanceof Error ? error : new Error('it did not fail');
}

let rig: ReplayRig;
beforeEach(async () => (rig = await ReplayRig.start()));
afterEach(() => rig?.end());

describe('a replay', () => {
  it('publishes each command as a new run that names the old one, on the low lane, and reports what it did', async () => {
    const [first] = await rig.commands(3, {
      headers: { tenant: 't1', traceparent: '00-a-b-01', [HEADER.CORRELATION_ID]: 'c1', [HEADER.EXPIRES_AT]: '2020-01-01T00:00:00Z' },
    });
    const report = await rig.replays({ by: 'ada' }).start({ note: 'a bug in March' });
    expect(report).toMatchObject({
      status: 'completed',
      by: 'ada',
      counts: { read: 3, matched: 3, published: 3, invalid: 0 },
      bound: 3,
      position: 3,
    });

    const replayed = await rig.stored(report.id);
    expect(numbers(replayed)).toEqual([1, 2, 3]);
    expect(replayed[0]).toMatchObject({ subject: names.run(ADDRESS, 'low'), userId: 'u1', replayId: report.id, replayOf: 'run-1' });
    expect(replayed.map(({ runId }) => runIdOrigin(runId as string))).toEqual(['producer', 'producer', 'producer']);
    expect(replayed[0]?.header(HEADER.MSG_ID)).toContain(`Orders.ProcessOrder:replay-${report.id}-${first}-`);
    expect(['tenant', HEADER.CORRELATION_ID, 'traceparent', HEADER.EXPIRES_AT].map((name) => replayed[0]?.header(name))).toEqual([
      't1',
      'c1',
      undefined,
      undefined,
    ]);
    // Its checkpoints are gone with it.
    expect(await readStream(rig.nc, names.streams.runs, names.replay('*'))).toEqual([]);
  });

  it('keeps a record that can be listed', async () => {
    await rig.commands(1);
    const replays = rig.replays({ by: 'ada' });
    const report = await replays.start({ id: 'march', note: 'why' });
    expect(await replays.list()).toEqual([report]);
    expect(await replays.get('march')).toMatchObject({ request: { note: 'why' }, by: 'ada', actions: [{ action: 'start', by: 'ada' }] });
    expect(await codeOf(replays.start({ id: 'march' }))).toBe('REPLAY_EXISTS');
    expect(await codeOf(replays.get('april'))).toBe('REPLAY_UNKNOWN');
    await replays.start({ id: 'may' });
    expect((await replays.list({ limit: 1 })).map(({ id }) => id)).toEqual(['may']);
    expect(await codeOf(replays.list({ limit: 0 }))).toBe('OPTION_INVALID');
    expect(await codeOf(replays.resume('march'))).toBe('REPLAY_FINISHED');
  });

  it('has an upper bound: what is stored meanwhile is not replayed', async () => {
    await rig.commands(3);
    let late = 0;
    const report = await rig.replays().start({}, { functions: { where: async () => (await rig.command(100 + ++late), true) } });
    expect(report.counts).toMatchObject({ read: 3, published: 3 });
    expect(late).toBe(3);
  });

  it('passes over what a replay has published, and never takes its own output', async () => {
    await rig.commands(2);
    const replays = rig.replays();
    await replays.start({});
    expect((await replays.start({})).counts).toMatchObject({ read: 4, matched: 2, published: 2, replayed: 2 });
    expect((await replays.start({ includeReplayed: true })).counts).toMatchObject({ read: 6, published: 6, replayed: 0 });

    // A stream that copies the runs brings a replay's output back to it, as events.
    await rig.api('STREAM.CREATE.COPY', { name: 'COPY', subjects: ['copy.>'] });
    await rig.publish('copy.1', '{}', { [HEADER.REPLAY_ID]: 'loop' });
    await rig.publish('copy.1', '{}', { [HEADER.REPLAY_ID]: 'another' });
    const request = { id: 'loop', source: { stream: 'COPY' }, map: { ...ADDRESS, user: 'u' }, includeReplayed: true };
    expect((await replays.start(request)).counts).toMatchObject({ read: 2, published: 1, replayed: 1 });
  });
});

describe('the selection of a replay', () => {
  const selected = async (request: Parameters<ReturnType<ReplayRig['replays']>['start']>[0]): Promise<number[]> => {
    const { id, counts } = await rig.replays().start({ includeReplayed: false, ...request });
    const stored = await rig.stored(id);
    expect(stored).toHaveLength(counts.published);
    return numbers(stored);
  };

  it('goes by workspace, workflow, subjects, user and sequence', async () => {
    await rig.command(1);
    await rig.command(2, { number: 2 }, { address: OTHER });
    await rig.command(3, { number: 3 }, { address: { workspace: 'Bills', workflow: 'Pay' }, userId: 'u2' });
    await rig.publish(names.run(ADDRESS, 'high'), '{"userId":"u1","payload":{"number":4}}');
    expect(await selected({ workspace: 'Orders', workflow: 'ProcessOrder' })).toEqual([1, 4]);
    expect(await selected({ workspace: 'Orders' })).toEqual([1, 2, 4]);
    expect(await selected({ workflow: 'Pay' })).toEqual([3]);
    expect(await selected({ user: 'u2' })).toEqual([3]);
    expect(await selected({ subjects: ['loopstack.run.Orders.*'] })).toEqual([1, 2]);
    expect(await selected({ fromSequence: 2, toSequence: 3 })).toEqual([2, 3]);
    expect(await selected({ limit: 2 })).toEqual([1, 2]);
    expect(await selected({ workflow: 'Nobody' })).toEqual([]);
  });

  it('goes by time', async () => {
    await rig.commands(2);
    const [, second] = await readStream(rig.nc, names.streams.runs);
    const stored = await rig.api<{ message: { time: string } }>(`STREAM.MSG.GET.${names.streams.runs}`, { seq: second?.sequence });
    const after = new Date(Date.parse(stored.message.time) + 5);
    await until('the clock has moved on', () => Date.now() > after.getTime() + 5);
    await rig.command(3);
    expect(await selected({ since: after.toISOString() })).toEqual([3]);
    expect(await selected({ until: after.toISOString() })).toEqual([1, 2]);
    expect(await selected({ since: after.toISOString(), fromSequence: 1, until: new Date().toISOString() })).toEqual([3]);
  });

  it('goes by JSONPath on the payload and by a function', async () => {
    await rig.command(1, { number: 1, priority: 5, items: [{ sku: 'a' }] });
    await rig.command(2, { number: 2, priority: 1, items: [{ sku: 'b' }] });
    await rig.publish(names.run(ADDRESS), 'no JSON');
    expect(await selected({ where: '@.priority > 3' })).toEqual([1]);
    expect(await selected({ where: "$.items[?@.sku == 'b']" })).toEqual([2]);
    const { id } = await rig
      .replays()
      .start(
        {},
        { functions: { where: ({ payload }, { runId }) => runId === 'run-2' && (payload as { priority: number }).priority === 1 } },
      );
    expect(numbers(await rig.stored(id))).toEqual([2]);
    expect(await codeOf(rig.replays().start({ where: '@.priority >' }))).toBe('OPTION_INVALID');
  });

  it('samples the same messages each time for one id', async () => {
    await rig.commands(400);
    const replays = rig.replays();
    const first = await replays.preview({ id: 'sample', sample: 0.25 });
    const second = await replays.preview({ id: 'sample', sample: 0.25 });
    expect(first.ready).toBe(second.ready);
    expect(first.ready).toBeGreaterThan(60);
    expect(first.ready).toBeLessThan(140);
    expect(await selected({ id: 'sample', sample: 0.25 })).toHaveLength(first.ready);
  });

  it('goes by what became of the run', async () => {
    const sequences = await rig.commands(6);
    await rig.record('run-1', { type: 'failed', sequence: sequences[0] as number });
    await rig.record('run-2', { type: 'retrying' });
    await rig.record('run-2', { type: 'succeeded' });
    await rig.record('run-3', { type: 'expired', attempt: 0 });
    await rig.record('run-4', { type: 'canceled', attempt: 1 });
    // The outcome of run 5 belongs to another command of the same run.
    await rig.record('run-5', { type: 'failed', sequence: 4711 });
    expect(await selected({ outcome: 'failed' })).toEqual([1]);
    expect(await selected({ outcome: 'succeeded' })).toEqual([2]);
    expect(await selected({ outcome: 'canceled' })).toEqual([4]);
    expect(await selected({ outcome: 'never-ran' })).toEqual([3, 6]);
    // What waits in its queue will run by itself.
    await rig.durable();
    expect(await selected({ outcome: 'never-ran' })).toEqual([]);
    await rig.work(5);
    expect(await selected({ outcome: 'never-ran' })).toEqual([3]);
  });
});

describe('what is replayed', () => {
  it('is changed by a patch and by a function, and checked again', async () => {
    await rig.commands(4);
    const report = await rig.replays().start(
      {
        patch: [
          { op: 'add', path: '/payload/tags', value: [] },
          { op: 'add', path: '/payload/tags/-', value: 'again' },
          { op: 'replace', path: '/workflow', value: 'CancelOrder' },
          { op: 'replace', path: '/userId', value: 'u9' },
        ],
      },
      {
        functions: {
          transform: (command) => {
            const { number } = command.payload as { number: number };
            if (number === 2) return undefined;
            if (number === 3) return { ...command, userId: '' };
            return { ...command, workspace: number === 4 ? 'no name' : command.workspace };
          },
        },
      },
    );
    expect(report.counts).toMatchObject({ matched: 4, published: 1, dropped: 1, invalid: 2 });
    expect(report.invalid).toMatchObject([
      { sequence: 3, code: 'USER_MISSING' },
      { sequence: 4, code: 'NAME_INVALID' },
    ]);
    expect(await rig.stored(report.id)).toMatchObject([
      { subject: names.run(OTHER, 'low'), payload: { number: 1, tags: ['again'] }, userId: 'u9' },
    ]);
  });

  it('is refused where the catalogue refuses its payload', async () => {
    await rig.commands(2);
    const check = ({ payload }: { payload: unknown }): LoopstackError | undefined =>
      (payload as { number: number }).number === 1
        ? new LoopstackError('PAYLOAD_INVALID', { workflow: 'ProcessOrder', summary: 'number' })
        : undefined;
    const report = await rig.replays({ payloads: { check } }).start({});
    expect(report).toMatchObject({ counts: { published: 1, invalid: 1 }, invalid: [{ sequence: 1, code: 'PAYLOAD_INVALID' }] });
  });

  it('counts stored commands that cannot be read', async () => {
    await rig.publish(names.run(ADDRESS), 'no JSON');
    await rig.publish('loopstack.run.Orders.no name'.replace(' ', '\u00a0'), '{"userId":"u1"}');
    const report = await rig.replays().start({});
    expect(report.invalid.map(({ code }) => code)).toEqual(['BODY_NOT_JSON', 'NAME_INVALID']);
    expect(report.counts).toMatchObject({ published: 0, invalid: 2 });
  });

  it('may be the same run, opened again once, and only if it has ended', async () => {
    await rig.commands(3);
    await rig.record('run-1', { type: 'failed' });
    await rig.record('run-2', { type: 'started' });
    await rig.record('run-3', { type: 'succeeded' });
    const report = await rig.replays().start({ as: 'same-run' });
    expect(report.counts).toMatchObject({ matched: 3, published: 2, busy: 1 });
    const stored = await rig.stored(report.id);
    expect(stored.map(({ runId }) => runId)).toEqual(['run-1', 'run-3']);
    expect(stored[0]?.header(HEADER.REDRIVEN)).toBe('1');
    expect(await rig.events('run-1')).toMatchObject([{ type: 'failed' }, { type: 'queued', attempt: 0, replay: `${report.id}:1` }]);
    // Queued again now: another replay leaves them alone.
    expect((await rig.replays().start({ as: 'same-run', toSequence: 3 })).counts).toMatchObject({ published: 0, busy: 3 });
    const moved = rig.replays().start({ as: 'same-run', toSequence: 3, patch: [{ op: 'replace', path: '/workflow', value: 'X' }] });
    expect((await moved).counts).toMatchObject({ published: 0, invalid: 3 });
  });

  it('is known by its outcome also where many have large results: the answer of the server is cut', async () => {
    const count = 90;
    await rig.commands(count);
    const result = 'x'.repeat(900 * 1024);
    for (let i = 1; i <= count; i++) await rig.record(`run-${i}`, { type: 'succeeded', sequence: i, result });
    const neverRan = await rig.replays().preview({ outcome: 'never-ran' });
    expect(neverRan.counts).toMatchObject({ read: count, matched: 0 });
    expect((await rig.replays().preview({ outcome: 'succeeded' })).counts).toMatchObject({ matched: count });
  });

  it('may be dead letters, with bodies that are elsewhere', async () => {
    await rig.dead(1, 'failed');
    await rig.dead(2, 'timeout', { pointer: true });
    await rig.dead(3, 'worker-died');
    const all = await rig.replays().start({ source: 'dead' });
    expect(numbers(await rig.stored(all.id))).toEqual([1, 2, 3]);
    expect((await rig.stored(all.id)).map(({ replayOf }) => replayOf)).toEqual(['run-1', 'run-2', 'run-3']);
    const some = await rig.replays().start({ source: 'dead', reason: 'timeout', workflow: 'ProcessOrder' });
    expect(numbers(await rig.stored(some.id))).toEqual([2]);
  });

  it('may be messages of any stream, mapped by paths or by a function', async () => {
    await rig.api('STREAM.CREATE.SHOP', { name: 'SHOP', subjects: ['shop.>'] });
    await rig.publish('shop.created', '{"customer":"c1","order":{"number":1}}', { tenant: 't1' });
    await rig.publish('shop.created', '{"order":{"number":2}}');
    await rig.publish('shop.paid', '{"customer":"c3","order":{"number":3}}');
    const source = { stream: 'SHOP' };
    const map = { ...ADDRESS, userPath: '$.customer', payloadPath: '$.order' };
    const paths = await rig.replays().start({ source, subjects: ['shop.created'], map });
    expect(paths).toMatchObject({ counts: { read: 2, published: 1, invalid: 1 }, invalid: [{ sequence: 2, code: 'COMMAND_INVALID' }] });
    const [stored] = await rig.stored(paths.id);
    expect(stored).toMatchObject({ payload: { number: 1 }, userId: 'c1', replayOf: 'SHOP:1' });
    expect(stored?.header('tenant')).toBe('t1');

    const mapped = await rig.replays().start(
      { source },
      {
        functions: {
          map: (message, { subject }) => {
            const { customer, order } = message.json() as { customer?: string; order: unknown };
            return subject === 'shop.paid' ? { ...OTHER, payload: order, userId: customer ?? '' } : undefined;
          },
        },
      },
    );
    expect(await rig.stored(mapped.id)).toMatchObject([{ subject: names.run(OTHER, 'low'), payload: { number: 3 } }]);
    expect(await codeOf(rig.replays().start({ source }))).toBe('OPTION_INVALID');
    expect(await codeOf(rig.replays().start({ source: { stream: 'NONE' }, map }))).toBe('STREAM_UNAVAILABLE');
  });
});

describe('a preview', () => {
  it('shows what would be done, and does nothing', async () => {
    await rig.commands(5);
    await rig.publish(names.run(ADDRESS), 'no JSON');
    const before = await readStream(rig.nc, names.streams.runs);
    const preview = await rig
      .replays()
      .preview({ patch: [{ op: 'replace', path: '/payload/number', value: 7 }], rate: 10 }, { examples: 2 });
    expect(preview).toMatchObject({
      counts: { read: 6, matched: 6, invalid: 1 },
      ready: 5,
      bound: 6,
      invalid: [{ sequence: 6, code: 'BODY_NOT_JSON' }],
    });
    expect(preview.examples).toMatchObject([
      { origin: { sequence: 1, runId: 'run-1' }, before: { payload: { number: 1 } }, after: { payload: { number: 7 } } },
      { before: { payload: { number: 2 } }, after: { payload: { number: 7 } } },
    ]);
    expect(preview.estimatedMs).toBeGreaterThanOrEqual(500);
    expect(await readStream(rig.nc, names.streams.runs)).toHaveLength(before.length);
  });
});

describe('a replay is gentle', () => {
  it('keeps to its rate', async () => {
    await rig.commands(40);
    const started = Date.now();
    const { counts } = await rig.replays().start({ rate: 50 });
    expect(counts.published).toBe(40);
    // The first batch goes at once: 10 commands, then 30 at 50 a second.
    expect(Date.now() - started).toBeGreaterThan(550);
  });

  it('waits while the queue is full', async () => {
    await rig.durable();
    await rig.commands(10);
    await rig.work(10);
    const progress: (string | undefined)[] = [];
    const running = rig.replays().start({ id: 'gentle', maxQueued: 4, rate: 10 }, { onProgress: ({ waiting }) => progress.push(waiting) });
    const count = async (): Promise<number> => (await rig.stored('gentle')).length;
    await until('the queue is full', async () => (await count()) === 4);
    await until('it waits for the queue', () => progress.at(-1) === 'queue');
    expect(await count()).toBe(4);
    await rig.work(3);
    await until('it goes on', async () => (await count()) > 4);
    expect(await count()).toBeLessThanOrEqual(7);
    await rig.work(20);
    await rig.work(20);
    expect((await running).counts.published).toBe(10);
  });

  it('is paused, resumed and aborted from elsewhere', async () => {
    await rig.commands(60);
    const running = rig.replays({ by: 'ada' }).start({ id: 'remote', rate: 4 });
    const operator = rig.replays({ by: 'bob' });
    await until('it publishes', async () => (await rig.stored('remote')).length > 3);
    expect(await operator.pause('remote')).toMatchObject({ status: 'paused' });
    const held = (await rig.stored('remote')).length;
    const pausedAtMs = Date.now();
    const pauseMs = 3000;
    expect(await codeOf(operator.start({ id: 'remote' }))).toBe('REPLAY_EXISTS');
    await until('it has been paused for a while', () => Date.now() - pausedAtMs > pauseMs);
    expect(await operator.resume('remote')).toMatchObject({ status: 'running' });
    expect(await codeOf(operator.resume('remote'))).toBe('REPLAY_BUSY');
    await until('it goes on', async () => (await rig.stored('remote')).length > held);
    expect(await operator.abort('remote')).toMatchObject({ status: 'aborted' });
    const report = await running;
    expect(report.status).toBe('aborted');
    // A pause is no work.
    expect(report.workedMs).toBeLessThan(Date.parse(report.finishedAt as string) - Date.parse(report.startedAt) - pauseMs + 100);
    expect(report.actions.map(({ action, by }) => [action, by])).toEqual([
      ['start', 'ada'],
      ['pause', 'bob'],
      ['resume', 'bob'],
      ['abort', 'bob'],
    ]);
    expect(await rig.stored('remote')).toHaveLength(report.counts.published);
    expect(report.counts.published).toBeLessThan(60);
  });
});

describe('each command once', () => {
  it('when it is interrupted and resumed after the deduplication window', async () => {
    await rig.end();
    rig = await ReplayRig.start({ runs: { duplicate_window: 100_000_000 } });
    await rig.commands(100);
    const stop = new AbortController();
    const running = rig.replays().start({ id: 'broken', rate: 5 }, { signal: stop.signal });
    await until('it publishes', async () => (await rig.stored('broken')).length > 2);
    stop.abort();
    const interrupted = await running;
    expect(interrupted).toMatchObject({ status: 'interrupted', position: (await rig.stored('broken')).length });
    const window = Date.now() + 200;
    await until('the window is over', () => Date.now() > window);
    const report = await rig.replays().resume('broken', { pace: { rate: undefined } });
    expect(report).toMatchObject({ status: 'completed', counts: { read: 100, published: 100 } });
    expect(numbers(await rig.stored('broken'))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it('when its process dies between publishing and writing down where it is', async () => {
    await rig.commands(50);
    const bucket = await rig.nc.jetstream().views.kv(names.replays);
    const stop = new AbortController();
    const running = rig.replays().start({ id: 'forgetful', rate: 5 }, { signal: stop.signal });
    const first = await until('it has begun', async () => (await bucket.get('forgetful.state'))?.string());
    await until('it publishes', async () => (await rig.stored('forgetful')).length > 2);
    stop.abort();
    await running;
    // What a process that was killed leaves: the log knows nothing, and nobody is heard of.
    await bucket.put('forgetful.state', JSON.stringify({ ...(JSON.parse(first) as object), heartbeatAt: new Date(0).toISOString() }));
    expect(await rig.replays().get('forgetful')).toMatchObject({ status: 'interrupted', counts: { published: 0 } });
    const report = await rig.replays().resume('forgetful', { pace: { rate: undefined } });
    expect(report.counts).toMatchObject({ read: 50, published: 50 });
    expect(numbers(await rig.stored('forgetful'))).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });

  it('when two processes work on it: one goes on, the other is told', async () => {
    await rig.commands(30);
    const bucket = await rig.nc.jetstream().views.kv(names.replays);
    const frozen = rig.replays().start({ id: 'twice', rate: 5 });
    await until('it publishes', async () => (await rig.stored('twice')).length > 2);
    // The first one seems to be dead, and is not.
    await until('its state is tampered with between two of its own writes', async () => {
      const entry = await bucket.get('twice.state');
      const state = JSON.parse(entry?.string() as string) as object;
      return bucket.update('twice.state', JSON.stringify({ ...state, heartbeatAt: new Date(0).toISOString() }), entry?.revision as number);
    });
    const second = rig.replays().resume('twice', { pace: { rate: undefined } });
    const outcomes = await Promise.allSettled([frozen, second]);
    const told = outcomes.filter(({ status }) => status === 'rejected');
    expect(told).toMatchObject([{ reason: { code: 'REPLAY_BUSY' } }]);
    expect(numbers(await rig.stored('twice'))).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it('when the server restarts in the middle', async () => {
    await rig.commands(300);
    const running = rig.replays().start({ id: 'shaken', rate: 150 });
    await until('it publishes', async () => (await rig.stored('shaken')).length > 30);
    await rig.server.kill();
    await rig.server.restart();
    expect(await running).toMatchObject({ status: 'completed', counts: { published: 300 } });
    expect(numbers(await rig.stored('shaken'))).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  it('and it refuses to go on where its marks are gone', async () => {
    await rig.commands(50);
    const stop = new AbortController();
    const running = rig.replays().start({ id: 'lost', rate: 5 }, { signal: stop.signal });
    await until('it publishes', async () => (await rig.stored('lost')).length > 2);
    stop.abort();
    await running;
    await rig.api(`STREAM.PURGE.${names.streams.runs}`, { filter: names.replay('lost') });
    expect(await codeOf(rig.replays().resume('lost'))).toBe('REPLAY_LOST');
  });
});

describe('functions of the user', () => {
  it('that throw while they are told of progress do not end the replay', async () => {
    await rig.commands(20);
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    let calls = 0;
    const onProgress = (): never => {
      calls++;
      throw new Error('no');
    };
    const report = await rig.replays().start({ id: 'watched', rate: 40 }, { onProgress });
    const rejecting = await rig
      .replays()
      .start({ id: 'waited', toSequence: 5 }, { onProgress: () => Promise.reject(new Error('no')) as never });
    expect(calls).toBeGreaterThan(1);
    for (const { id, status, counts } of [report, rejecting]) {
      expect([status, counts.published]).toEqual(['completed', id === 'watched' ? 20 : 5]);
      expect(await rig.replays().get(id)).toMatchObject({ status: 'completed' });
    }
    await until('it is told once of each', () => warn.mock.calls.length === 2);
    expect(warn.mock.calls[0]?.[0]).toBe('onProgress of replay watched failed; the replay goes on');
    warn.mockRestore();
  });

  it('that never settle are left by a signal, and by an abort', async () => {
    await rig.commands(5);
    const transform = (): Promise<never> => new Promise(() => undefined);
    const stop = new AbortController();
    let called: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (called = resolve));
    const functions = { transform: () => (called(), transform()) };
    const running = rig.replays().start({ id: 'stopped' }, { functions, signal: stop.signal });
    await begun;
    stop.abort();
    expect(await running).toMatchObject({ status: 'interrupted', counts: { published: 0 } });
    const aborted = rig.replays().start({ id: 'aborted' }, { functions });
    await until('it works', async () => (await rig.replays().get('aborted')).status === 'running');
    await rig.replays().abort('aborted');
    expect(await aborted).toMatchObject({ status: 'aborted' });
    const looking = rig.replays().preview({}, { functions, signal: AbortSignal.timeout(100) });
    await expect(looking).rejects.toThrow(/timeout/);
    // It goes on where it was.
    expect(await rig.replays().resume('stopped')).toMatchObject({ status: 'completed', counts: { published: 5 } });
  });

  it('that throw what cannot be read refuse the command', async () => {
    await rig.commands(2);
    const evil = Object.defineProperty(new Error('no'), 'message', {
      get: () => {
        throw new Error('no');
      },
    });
    const transform = (): never => {
      throw evil;
    };
    const report = await rig.replays().start({}, { functions: { transform } });
    expect(report).toMatchObject({ status: 'completed', counts: { invalid: 2 }, invalid: [{ code: 'COMMAND_INVALID' }, {}] });
  });
});
