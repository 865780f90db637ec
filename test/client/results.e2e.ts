import { LoopstackClient } from '@loopstack/client';
import { newRunId, type RunEvent, type RunHandle } from '@loopstack/shared/contract';
import { expectNothingFor } from '../until.js';
import { ADDRESS, Rig, codeOf, errorOf } from './rig.js';

describe('the result of a run', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(() => {
    client = rig.client();
  });

  const start = (): Promise<RunHandle<{ total: number }>> => client.run('ProcessOrder', 'Orders', {}, 'u1');

  it('comes when the outcome is there already', async () => {
    const run = await start();
    await rig.record(run.id, { type: 'succeeded', result: { total: 7 } });
    expect(await run.result()).toEqual({ total: 7 });
  });

  it('comes when the outcome is recorded later, without polling', async () => {
    const run = await start();
    const result = run.result();
    const requests = rig.nc.stats().outMsgs;
    await expectNothingFor(300, 'polling', () => rig.nc.stats().outMsgs - requests > 3);
    await rig.record(run.id, { type: 'started' });
    await rig.record(run.id, { type: 'succeeded', result: { total: 8 } });
    expect(await result).toEqual({ total: 8 });
  });

  it('is undefined for a workflow that returns nothing', async () => {
    const run = await start();
    await rig.record(run.id, { type: 'succeeded' });
    expect(await run.result()).toBeUndefined();
  });

  it('is a typed error for each other outcome', async () => {
    const failed = await start();
    const errors = [{ path: 'sku', rule: 'isString', message: 'sku must be a string', received: 'number' }];
    await rig.record(failed.id, { type: 'failed', error: { code: 'PAYLOAD_INVALID', name: 'LoopstackError', message: 'refused', errors } });
    expect(await errorOf(failed.result())).toMatchObject({
      code: 'RUN_FAILED',
      errors,
      message: expect.stringContaining('refused') as string,
      details: { error: { code: 'PAYLOAD_INVALID' } },
    });
    const canceled = await start();
    await canceled.cancel();
    expect(await codeOf(canceled.result())).toBe('RUN_CANCELED');
    const expired = await start();
    await rig.record(expired.id, { type: 'expired', attempt: 0 });
    expect(await codeOf(expired.result())).toBe('RUN_EXPIRED');
  });

  it('is RESULT_TIMEOUT after the time that was given, and the run can be asked again', async () => {
    const run = await start();
    const error = await errorOf(run.result({ timeout: 150 }));
    expect(error).toMatchObject({ code: 'RESULT_TIMEOUT', retryable: true, details: { runId: run.id, timeoutMs: 150 } });
    await rig.record(run.id, { type: 'succeeded', result: 1 });
    expect(await run.result()).toBe(1);
  });

  it('ends with the reason of the signal', async () => {
    const run = await start();
    const controller = new AbortController();
    const result = run.result({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
    await expect(run.result({ signal: controller.signal })).rejects.toThrow('enough');
  });

  it('is not an outcome that the stream refused', async () => {
    const run = await start();
    await rig.record(run.id, { type: 'started' });
    const result = run.result();
    // A worker that lost its lease: subscribers of the subject see its outcome, the fence refuses it.
    await expect(rig.record(run.id, { type: 'failed', error: { code: 'HANDLER_FAILED', name: 'E', message: 'stale' } }, 0)).rejects.toThrow(
      'wrong last sequence',
    );
    await rig.record(run.id, { type: 'succeeded', result: 'right' });
    expect(await result).toBe('right');
  });

  it('is the last one for a run that was redriven', async () => {
    const run = await start();
    await rig.record(run.id, { type: 'failed', error: { code: 'HANDLER_FAILED', name: 'E', message: 'first' } });
    await rig.record(run.id, { type: 'queued', attempt: 0, redriveOf: 1 });
    const result = run.result();
    await rig.record(run.id, { type: 'succeeded', result: 'second' });
    expect(await result).toBe('second');
  });

  it('serves thousands of waiters, several of them for one run', async () => {
    const runs = await Promise.all(Array.from({ length: 3000 }, start));
    const results = runs.flatMap((run) => [run.result(), run.result()]);
    await Promise.all(runs.map((run, i) => rig.record(run.id, { type: 'succeeded', result: { total: i } })));
    const totals = (await Promise.all(results)).map((result) => result.total);
    expect(totals).toEqual(runs.flatMap((_, i) => [i, i]));
  });

  it('is had in one call, from a connection of its own', async () => {
    const own = await rig.connectClient();
    const heard = rig.nc.subscribe('loopstack.run.Orders.Quote', {
      max: 1,
      callback: (_, msg) =>
        void rig.record(msg.headers?.get('Loopstack-Run-Id') as string, { type: 'succeeded', result: 42 }, 0, {
          workspace: 'Orders',
          workflow: 'Quote',
        }),
    });
    await rig.nc.flush();
    expect(await own.runAndWait<number>('Quote', 'Orders', {}, 'u1', { timeout: '10s' })).toBe(42);
    await heard.closed;
  });

  it('survives a server that is killed and comes back while one waits', async () => {
    const [run, other] = [await start(), await start()];
    const waiting = [run.result({ timeout: '40s' }), other.result({ timeout: '40s' })];
    await rig.crash();
    await rig.record(run.id, { type: 'succeeded', result: { total: 1 } });
    await rig.record(other.id, { type: 'succeeded', result: { total: 2 } });
    expect(await Promise.all(waiting)).toEqual([{ total: 1 }, { total: 2 }]);
  });

  it('comes also when it was recorded while the waiter was disconnected', async () => {
    const nc = await rig.connect({ reconnectTimeWait: 2000 });
    const run = await start();
    const waiting = new LoopstackClient(nc).handle(ADDRESS, run.id).result({ timeout: '40s' });
    await nc.flush();
    await rig.crash();
    await rig.record(run.id, { type: 'succeeded', result: 'late' });
    expect(await waiting).toBe('late');
  });

  it('is CLOSED once the connection is, like all that is asked for then', async () => {
    const nc = await rig.connect();
    const asker = new LoopstackClient(nc);
    const run = await asker.run('ProcessOrder', 'Orders', {}, 'u1');
    await nc.close();
    const calls = [
      () => run.result(),
      async () => run.events()[Symbol.asyncIterator]().next(),
      () => run.status(),
      () => run.cancel(),
      () => asker.list(),
      () => asker.schedules.list(),
      () => asker.get(run.id),
      () => asker.runMany([]).then(() => asker.fanOut([{ ...ADDRESS, userId: 'u1' }])),
    ];
    for (const call of calls) expect(await codeOf(call())).toBe('CLOSED');
    await asker.close();
  });

  it('ends with CLOSED when the connection is closed', async () => {
    const nc = await rig.connect();
    const waiting = codeOf(new LoopstackClient(nc).handle(ADDRESS, newRunId()).result());
    await nc.flush();
    await nc.close();
    expect(await waiting).toBe('CLOSED');
  });
});

describe('the events of a run', () => {
  const rig = Rig.use('all');

  const collect = async (events: AsyncIterable<RunEvent>): Promise<string[]> => {
    const types: string[] = [];
    for await (const event of events) types.push(event.type === 'progress' ? `progress ${String(event.progress)}` : event.type);
    return types;
  };

  it('are its history, then live, and end with the outcome', async () => {
    const run = await rig.client().run('ProcessOrder', 'Orders', {}, 'u1');
    await rig.record(run.id, { type: 'started' });
    await rig.record(run.id, { type: 'progress', progress: 1 });
    const all = collect(run.events());
    for (let i = 2; i < 50; i++) await rig.record(run.id, { type: 'progress', progress: i });
    await rig.record(run.id, { type: 'retrying' });
    await rig.record(run.id, { type: 'succeeded' });
    const expected = ['started', ...Array.from({ length: 49 }, (_, i) => `progress ${i + 1}`), 'retrying', 'succeeded'];
    expect(await all).toEqual(expected);
    expect(await collect(run.events())).toEqual(expected);
  });

  it('leave out what the stream refused', async () => {
    const run = await rig.client().run('ProcessOrder', 'Orders', {}, 'u1');
    const all = collect(run.events());
    await rig.record(run.id, { type: 'started' });
    await expect(rig.record(run.id, { type: 'failed' }, 0)).rejects.toThrow('wrong last sequence');
    await rig.record(run.id, { type: 'succeeded' });
    expect(await all).toEqual(['started', 'succeeded']);
  });

  it('end with the reason of the signal', async () => {
    const run = await rig.client().run('ProcessOrder', 'Orders', {}, 'u1');
    const controller = new AbortController();
    const all = collect(run.events({ signal: controller.signal }));
    controller.abort(new Error('enough'));
    await expect(all).rejects.toThrow('enough');
  });

  it('go on after the server was killed and came back', async () => {
    const run = await rig.client().run('ProcessOrder', 'Orders', {}, 'u1');
    const all = collect(run.events());
    await rig.record(run.id, { type: 'started' });
    await rig.crash();
    await rig.record(run.id, { type: 'succeeded' });
    expect(await all).toEqual(['started', 'succeeded']);
  });
});
