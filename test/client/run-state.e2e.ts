import type { LoopstackClient } from '@loopstack/client';
import { encodeRunCommand, encodeRunEvent, newRunId, sequenceRunId, type RunHandle } from '@loopstack/shared/contract';
import { headers as natsHeaders } from 'nats';
import { until } from '../until.js';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

describe('the state of a run', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(() => {
    client = rig.client();
  });

  const start = (workflow = 'ProcessOrder'): Promise<RunHandle> => client.run(workflow, 'Orders', {}, 'u1');

  it('is queued as soon as the command is stored, with and without its address', async () => {
    const run = await start();
    const expected = {
      ...ADDRESS,
      id: run.id,
      status: 'queued',
      attempt: 0,
      userId: 'u1',
      sequence: run.sequence,
      queuedAt: expect.any(String) as string,
    };
    expect(await run.status()).toEqual(expected);
    expect(await client.get(run.id)).toEqual(expected);
  });

  it('follows the events, and says who asked', async () => {
    const run = await start();
    const { sequence } = run;
    await rig.record(run.id, { type: 'started', sequence });
    expect(await client.get(run.id)).toMatchObject({ status: 'running', attempt: 1, userId: 'u1', sequence });
    await rig.record(run.id, { type: 'retrying', sequence, nextAttemptAt: '2030-01-01T00:00:00.000Z' });
    expect(await client.get(run.id, ADDRESS)).toMatchObject({ status: 'retrying', nextAttemptAt: '2030-01-01T00:00:00.000Z' });
    await rig.record(run.id, { type: 'succeeded', sequence, result: { total: 3 }, attempt: 2 });
    expect(await client.get(run.id)).toMatchObject({ status: 'succeeded', attempt: 2, result: { total: 3 } });
  });

  it('is found among thousands of queued ones, by the time in its id', async () => {
    const runs = await Promise.all(Array.from({ length: 5000 }, () => start('Other')));
    const requests = rig.nc.stats().outMsgs;
    for (const run of [runs[0], runs[2500], runs[4999]] as RunHandle[]) {
      expect(await client.get(run.id)).toMatchObject({ status: 'queued', sequence: run.sequence, workflow: 'Other' });
    }
    expect(rig.nc.stats().outMsgs - requests).toBeLessThan(60);
  });

  it('is found for a producer whose clock is seconds or minutes off', async () => {
    for (const offMs of [-5000, 3000, -300_000, 300_000]) {
      const id = newRunIdOff(offMs);
      await publishForeign(id);
      expect(await client.get(id)).toMatchObject({ status: 'queued', id });
    }
  });

  it('is found for commands of other producers: an id of theirs, or none', async () => {
    await publishForeign('their-own-id');
    expect(await client.get('their-own-id')).toMatchObject({ status: 'queued', userId: 'u9' });
    const { seq } = await publishForeign(undefined);
    const stored = await (await rig.nc.jetstreamManager()).streams.getMessage(names.streams.runs, { seq });
    const id = sequenceRunId(stored.time.getTime(), seq);
    expect(await client.get(id)).toMatchObject({ status: 'queued', id, sequence: seq });
  });

  it('is queued also for a body that a worker will refuse', async () => {
    const id = newRunId();
    const headers = natsHeaders();
    headers.set('Loopstack-Run-Id', id);
    await rig.nc.request(names.run(ADDRESS), 'no json', { headers, timeout: 5000 });
    expect(await client.get(id)).toMatchObject({ status: 'queued', id });
  });

  it('is RUN_UNKNOWN for what was never accepted, and NAME_INVALID for what cannot be an id', async () => {
    expect(await codeOf(client.get(newRunId()))).toBe('RUN_UNKNOWN');
    expect(await codeOf(client.get('nobody', ADDRESS))).toBe('RUN_UNKNOWN');
    expect(await codeOf(client.get(sequenceRunId(Date.now(), 999_999)))).toBe('RUN_UNKNOWN');
    expect(await codeOf(client.get('a.*'))).toBe('NAME_INVALID');
  });

  it('is RUN_UNKNOWN, not queued, once its events have aged out while its command is kept', async () => {
    const run = await start('Aged');
    const durable = names.durable(run);
    await rig.api(`CONSUMER.CREATE.${names.streams.runs}.${durable}.${names.run(run)}`, {
      stream_name: names.streams.runs,
      config: { durable_name: durable, name: durable, ack_policy: 'explicit', filter_subject: names.run(run) },
    });
    expect(await run.status()).toMatchObject({ status: 'queued' });
    const consumer = await rig.nc.jetstream().consumers.get(names.streams.runs, durable);
    await (await consumer.next())?.ackAck();
    expect(await codeOf(run.status())).toBe('RUN_UNKNOWN');
    expect(await client.list({ workflow: 'Aged', workspace: 'Orders' })).toEqual([]);
  });

  it('is RUN_UNKNOWN, too, for an aged run of another priority that one durable has taken', async () => {
    const run = await client.run('AgedLow', 'Orders', {}, 'u1', { priority: 'low' });
    const address = { workspace: 'Orders', workflow: 'AgedLow' };
    const durable = names.durable(address);
    const subject = names.run(address, 'low');
    await rig.api(`CONSUMER.CREATE.${names.streams.runs}.${durable}.${subject}`, {
      stream_name: names.streams.runs,
      config: { durable_name: durable, name: durable, ack_policy: 'explicit', filter_subject: subject },
    });
    expect(await run.status()).toMatchObject({ status: 'queued' });
    const consumer = await rig.nc.jetstream().consumers.get(names.streams.runs, durable);
    await (await consumer.next())?.ackAck();
    expect(await codeOf(run.status())).toBe('RUN_UNKNOWN');
    expect(await client.list(address)).toEqual([]);
  });

  it('can be read by the thousand at once', async () => {
    const runs = await Promise.all(Array.from({ length: 1000 }, () => start('Other')));
    await Promise.all(runs.map((run) => rig.record(run.id, { type: 'succeeded', sequence: run.sequence }, 0, run)));
    const infos = await Promise.all(runs.map((run) => client.get(run.id, run)));
    expect(new Set(infos.map((info) => info.status))).toEqual(new Set(['succeeded']));
  });

  it('of queued ones, too, although a server that is asked for a thousand pages at once would answer the last too late', async () => {
    const asker = rig.client({ requestTimeout: '1s' });
    const runs = await Promise.all(Array.from({ length: 600 }, () => client.run('Queued', 'Orders', 'x'.repeat(500), 'u1')));
    const infos = await Promise.all(runs.map((run) => asker.get(run.id, run)));
    expect(new Set(infos.map((info) => info.status))).toEqual(new Set(['queued']));
    expect(infos.map((info) => info.sequence)).toEqual(runs.map((run) => run.sequence));
  });

  it('is one read of the command for a handle that knows its place', async () => {
    const runs = await Promise.all(Array.from({ length: 1000 }, () => start('Placed')));
    const received = rig.nc.stats().inMsgs;
    expect(await (runs.at(-1) as RunHandle).status()).toMatchObject({ status: 'queued', workflow: 'Placed' });
    // The event, the command, the consumer.
    expect(rig.nc.stats().inMsgs - received).toBeLessThanOrEqual(3);
  });

  function newRunIdOff(offMs: number): string {
    const time = (Date.now() + offMs).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}${newRunId().slice(13)}`;
  }

  async function publishForeign(runId: string | undefined): Promise<{ seq: number }> {
    const headers = natsHeaders();
    if (runId !== undefined) headers.set('Loopstack-Run-Id', runId);
    return (await rig.nc.request(names.run(ADDRESS), encodeRunCommand({ payload: {}, userId: 'u9' }), { headers, timeout: 5000 })).json<{
      seq: number;
    }>();
  }
});

describe('the list of runs', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(() => {
    client = rig.client();
  });

  it('has runs with and without events, newest first, by workspace, workflow, status and time', async () => {
    const ids: Record<string, string> = {};
    for (const name of ['queued', 'running', 'failed', 'succeeded']) ids[name] = (await client.run('ProcessOrder', 'Orders', {}, 'u1')).id;
    await client.run('PayOut', 'Bank', {}, 'u1');
    await rig.record(ids['running'] as string, { type: 'started' });
    await rig.record(ids['failed'] as string, { type: 'started' });
    await rig.record(ids['failed'] as string, { type: 'failed', error: { code: 'HANDLER_FAILED', name: 'Error', message: 'no' } });
    await rig.record(ids['succeeded'] as string, { type: 'succeeded' });
    const high = await client.run('ProcessOrder', 'Orders', {}, 'u1', { priority: 'high' });
    const delayed = await client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '1h' });

    const all = await client.list({ workspace: 'Orders' });
    expect(all.map((info) => info.id)).toEqual([delayed.id, high.id, ids['succeeded'], ids['failed'], ids['running'], ids['queued']]);
    expect(all.map((info) => info.status)).toEqual(['queued', 'queued', 'succeeded', 'failed', 'running', 'queued']);
    expect((await client.list()).length).toBe(7);
    expect((await client.list({ status: 'failed' })).map((info) => info.error?.message)).toEqual(['no']);
    expect((await client.list({ status: ['running', 'succeeded'] })).map((info) => info.id)).toEqual([ids['succeeded'], ids['running']]);
    expect((await client.list({ status: 'queued', workspace: 'Orders', workflow: 'ProcessOrder' })).length).toBe(3);
    expect((await client.list({ limit: 2 })).length).toBe(2);
    expect(await client.list({ since: new Date(Date.now() + 60_000) })).toEqual([]);
    expect((await client.list({ since: new Date(Date.now() - 60_000) })).length).toBe(7);
    expect(await codeOf(client.list({ limit: 0 }))).toBe('OPTION_INVALID');
    expect(await codeOf(client.list({ workspace: '*' }))).toBe('NAME_INVALID');
    for (const wrong of [
      { since: new Date(Number.NaN) },
      { since: '2020' },
      { status: 'foo' },
      { status: [] },
      { status: ['failed', 'foo'] },
    ])
      expect(await codeOf(client.list(wrong as never))).toBe('OPTION_INVALID');
  });

  it('has the runs of one user, whatever their state', async () => {
    const place = { workspace: 'Users', workflow: 'Job' };
    const mine = await Promise.all(Array.from({ length: 5 }, () => client.run('Job', 'Users', {}, 'ann')));
    const others = await Promise.all(Array.from({ length: 5 }, () => client.run('Job', 'Users', {}, 'bob')));
    for (const [index, run] of [...mine, ...others].entries()) {
      // A start tells no user, an outcome does.
      const { sequence } = run;
      if (index % 5 === 1) await rig.record(run.id, { type: 'started', sequence }, 0, place);
      if (index % 5 === 2) await rig.record(run.id, { type: 'succeeded', sequence, userId: index < 5 ? 'ann' : 'bob' }, 0, place);
      if (index % 5 === 3) await run.cancel();
    }
    const delayed = await client.run('Job', 'Users', {}, 'ann', { delay: '1h' });
    const later = await client.run('Job', 'Users', {}, 'ann', { delay: '1h' });
    await later.cancel();
    const listed = await client.list({ ...place, userId: 'ann' });
    expect(listed.map((info) => info.id).toSorted()).toEqual([...mine, delayed, later].map((run) => run.id).toSorted());
    expect((await client.list({ ...place, userId: 'ann', status: 'running' })).map((info) => info.id)).toEqual([mine[1]?.id]);
    expect((await client.list({ ...place, userId: 'ann', limit: 2 })).length).toBe(2);
    expect(await client.list({ ...place, userId: 'an' })).toEqual([]);
    for (const wrong of [{ userId: 1 }, { until: new Date(Number.NaN) }, { until: 'today' }])
      expect(await codeOf(client.list(wrong as never))).toBe('OPTION_INVALID');
  });

  it('has the runs that last changed up to a time', async () => {
    const place = { workspace: 'Until', workflow: 'Job' };
    const run = (): Promise<RunHandle> => client.run('Job', 'Until', {}, 'u1');
    const timeOf = async (seq: number): Promise<number> =>
      (await (await rig.nc.jetstreamManager()).streams.getMessage(names.streams.events, { seq })).time.getTime();
    const [ended, changed, disturbed, queued] = [await run(), await run(), await run(), await run()];
    for (const { id } of [ended, changed, disturbed]) await rig.record(id, { type: 'started' }, 0, place);
    const lastMs = await timeOf(await rig.record(ended.id, { type: 'succeeded' }, undefined, place));
    await until('time has passed', () => Date.now() > lastMs);
    const laterMs = await timeOf(await rig.record(changed.id, { type: 'succeeded' }, undefined, place));
    await rig.nc.request(names.event(place, disturbed.id), 'no event');
    const young = await run();
    const idsUntil = async (ms: number): Promise<readonly string[]> =>
      (await client.list({ ...place, until: new Date(ms) })).map((info) => info.id).toSorted();
    expect(await idsUntil(lastMs)).toEqual([ended.id, disturbed.id, queued.id].toSorted());
    expect(await idsUntil(Date.now() + 60_000)).toEqual([ended, changed, disturbed, queued, young].map(({ id }) => id).toSorted());
    expect(await idsUntil(lastMs - 60_000)).toEqual([]);
    const only = await client.list({ ...place, since: new Date(laterMs), until: new Date(laterMs), status: 'succeeded' });
    expect(only.map((info) => info.id)).toEqual([changed.id]);
  });

  it('says where it stopped, and goes on from there', async () => {
    const place = { workspace: 'Endless', workflow: 'Job' };
    await rig.record('first', { type: 'failed', error: { code: 'HANDLER_FAILED', name: 'Error', message: 'no' } }, 0, place);
    const bound: Date[] = [];
    const onIncomplete = (from: Date): void => void bound.push(from);
    expect((await client.list({ ...place, status: 'failed', onIncomplete })).length).toBe(1);
    expect(bound).toEqual([]);
    const before = await rig.count(names.streams.events);
    const noise = encodeRunEvent({ type: 'progress', at: new Date().toISOString(), attempt: 1 });
    for (let sent = 0; sent < 200_500; sent++) {
      rig.nc.publish(names.event(place, `noise-${sent % 10}`), noise);
      if (sent % 5000 === 0) await rig.nc.flush();
    }
    await until('all are stored', async () => (await rig.count(names.streams.events)) === before + 200_500, 60_000);
    expect(await client.list({ ...place, status: 'failed', onIncomplete })).toEqual([]);
    expect(bound.length).toBe(1);
    const rest = await client.list({ ...place, status: 'failed', until: bound[0] as Date, onIncomplete });
    expect(rest.map((info) => info.id)).toEqual(['first']);
    // The runs that it asks for are all newer than where it stops.
    expect((await client.list({ ...place, status: 'running', limit: 3, onIncomplete })).length).toBe(3);
    expect(await client.list({ ...place, status: 'failed', since: new Date((bound[0] as Date).getTime() + 1), onIncomplete })).toEqual([]);
    expect(bound.length).toBe(1);
  }, 120_000);

  it('is in the order of the starts where many were started in one millisecond, whatever their priority', async () => {
    const priorities = ['high', 'normal', 'low'] as const;
    const runs = await Promise.all(
      Array.from({ length: 300 }, (_, i) => client.run('Job', 'Burst', {}, 'u1', { priority: priorities[i % 3] as 'high' })),
    );
    const listed = await client.list({ workspace: 'Burst', limit: 300 });
    expect(listed.map((info) => info.id)).toEqual(runs.map((run) => run.id).reverse());
  });

  it('is right and keeps few of the results in memory, however large they are', async () => {
    const address = { workspace: 'Large', workflow: 'Job' };
    const waiting = await client.run('Job', 'Large', {}, 'u1');
    const result = 'x'.repeat(900_000);
    const ended: string[] = [];
    for (let i = 0; i < 100; i++) {
      const run = await client.run('Job', 'Large', {}, 'u1');
      await rig.record(run.id, { type: 'succeeded', sequence: run.sequence, result }, 0, address);
      ended.push(run.id);
    }
    expect((await client.list({ ...address, status: 'queued' })).map((info) => info.id)).toEqual([waiting.id]);
    const held = process.memoryUsage().rss;
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss - held)), 5);
    expect(await client.list({ ...address, status: 'failed' })).toEqual([]);
    clearInterval(watch);
    // All of them are 90 MB, and were held as bytes and as text.
    expect(peak / 1e6).toBeLessThan(75);
    const newest = await client.list({ ...address, status: 'succeeded', limit: 3 });
    expect(newest.map((info) => [info.id, info.result === result])).toEqual(
      ended
        .slice(-3)
        .reverse()
        .map((id) => [id, true]),
    );
  });

  it('reads the end of a long stream only', async () => {
    const address = { workspace: 'Long', workflow: 'Job' };
    const runs = await Promise.all(Array.from({ length: 6000 }, () => client.run('Job', 'Long', {}, 'u1')));
    await Promise.all(runs.slice(0, 3000).map((run) => rig.record(run.id, { type: 'succeeded' }, 0, address)));
    const before = rig.nc.stats().inMsgs;
    const listed = await client.list({ ...address, status: 'queued', limit: 50 });
    expect(listed.map((info) => info.id)).toEqual(
      runs
        .slice(-50)
        .reverse()
        .map((run) => run.id),
    );
    expect(rig.nc.stats().inMsgs - before).toBeLessThan(1500);
    const done = await client.list({ ...address, status: 'succeeded', limit: 10 });
    expect(done.length).toBe(10);
    expect((await client.list({ ...address, limit: 100_000 })).length).toBe(6000);
  });
});

describe('the cancel of a run', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(() => {
    client = rig.client();
  });

  it('records the outcome before the start and tells the workers', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    const heard: string[] = [];
    const sub = rig.nc.subscribe('loopstack.cancel.*.*.*', { callback: (_, msg) => void heard.push(msg.subject) });
    expect(await run.cancel()).toMatchObject({ id: run.id, status: 'canceled', attempt: 0, sequence: run.sequence });
    expect(await run.status()).toMatchObject({ status: 'canceled' });
    await rig.nc.flush();
    expect(heard).toEqual([names.cancel(ADDRESS, run.id)]);
    // A worker that has begun meanwhile finds its outcome refused.
    await expect(rig.record(run.id, { type: 'succeeded' }, 0)).rejects.toThrow('wrong last sequence');
    sub.unsubscribe();
  });

  it('works during a run and between its attempts, without its address too', async () => {
    for (const type of ['started', 'retrying'] as const) {
      const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
      await rig.record(run.id, { type, attempt: 2 });
      expect(await client.cancel(run.id)).toMatchObject({ status: 'canceled', attempt: 2 });
    }
  });

  it('is refused once there is another outcome, and may be repeated', async () => {
    const done = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    await rig.record(done.id, { type: 'succeeded' });
    expect(await errorOf(done.cancel())).toMatchObject({ code: 'RUN_FINISHED', details: { status: 'succeeded' } });
    const canceled = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    await canceled.cancel();
    expect(await canceled.cancel()).toMatchObject({ status: 'canceled' });
    expect(await codeOf(client.cancel(newRunId()))).toBe('RUN_UNKNOWN');
  });

  it('wins or loses against an outcome, never both', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
        const started = await rig.record(run.id, { type: 'started' });
        const [canceled, succeeded] = await Promise.allSettled([
          run.cancel(),
          (async () => {
            for (let turn = 0; turn < i % 7; turn++) await rig.nc.flush();
            return rig.record(run.id, { type: 'succeeded' }, started);
          })(),
        ]);
        const { status } = await run.status();
        expect([canceled.status === 'fulfilled', succeeded.status === 'fulfilled', status]).toEqual(
          status === 'canceled' ? [true, false, 'canceled'] : [false, true, 'succeeded'],
        );
        return status;
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(['canceled', 'succeeded']));
  });

  it('goes on when a worker records progress in between', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    let stop = false;
    const progress = (async () => {
      for (let n = 0; !stop; n++) {
        await rig.record(run.id, { type: 'progress', progress: n });
        await rig.nc.flush();
      }
    })();
    const canceled = await until('the cancel succeeds', () => run.cancel(), 10_000);
    stop = true;
    await progress;
    expect(canceled).toMatchObject({ status: 'canceled' });
  });

  it('takes a delayed run out of the schedules', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '1h' });
    const before = await rig.count(names.streams.schedules);
    await run.cancel();
    expect(await rig.count(names.streams.schedules)).toBe(before - 1);
    expect(await codeOf(run.result())).toBe('RUN_CANCELED');
  });
});
