import { LoopstackClient } from '@loopstack/client';
import { keyedRunId, type RunHandle } from '@loopstack/shared/contract';
import { connect } from 'nats';
import { messageIdsForgotten } from '../rig/measure.js';
import { ADDRESS, Rig, names } from './rig.js';

describe('runs with an idempotency key', () => {
  const rig = Rig.use('all', { runs: { duplicate_window: 100_000_000 } });
  let client: LoopstackClient;
  let keys = 0;
  beforeAll(() => {
    // A short window, so that the tests see what holds beyond it.
    client = rig.client();
  });

  const start = (idempotencyKey: string, by = client): Promise<RunHandle> => by.run('ProcessOrder', 'Orders', {}, 'u1', { idempotencyKey });
  /** Past the deduplication window. */
  const past = (): Promise<void> => messageIdsForgotten(rig.nc);

  it('are one run: the second call starts nothing and says so', async () => {
    const key = `k${++keys}`;
    const first = await start(key);
    expect(first).toMatchObject({ id: keyedRunId('Orders', 'ProcessOrder', key), duplicate: false });
    const second = await start(key);
    expect(second).toMatchObject({ id: first.id, sequence: first.sequence, stream: names.streams.runs, duplicate: true });
    await past();
    expect(await start(key)).toMatchObject({ sequence: first.sequence, duplicate: true });
  });

  it('are one run for the life of its events, with the same result', async () => {
    const key = `k${++keys}`;
    const first = await start(key);
    await rig.record(first.id, { type: 'succeeded', sequence: first.sequence, result: 5 });
    await past();
    const second = await start(key);
    expect(second).toMatchObject({ duplicate: true, sequence: first.sequence });
    expect(await second.result()).toBe(5);
  });

  it('are told apart by workflow and workspace', async () => {
    const key = `k${++keys}`;
    const ids = [
      await start(key),
      await client.run('Other', 'Orders', {}, 'u1', { idempotencyKey: key }),
      await client.run('ProcessOrder', 'Bank', {}, 'u1', { idempotencyKey: key }),
    ];
    expect(new Set(ids.map((run) => run.id)).size).toBe(3);
    expect(ids.every((run) => !run.duplicate)).toBe(true);
  });

  it('have one holder when many clients race, and all handles name it', async () => {
    const connections = await Promise.all(Array.from({ length: 4 }, () => connect({ servers: rig.server.url })));
    const clients = connections.map((nc) => new LoopstackClient(nc));
    for (let round = 0; round < 20; round++) {
      const key = `k${++keys}`;
      const runs = await Promise.all(clients.flatMap((by) => [start(key, by), start(key, by)]));
      expect(new Set(runs.map((run) => run.sequence)).size).toBe(1);
      expect(runs.filter((run) => !run.duplicate).length).toBeLessThanOrEqual(1);
    }
    await Promise.all(connections.map((nc) => nc.close()));
  });

  it('have the holder that claimed first, when two commands were stored', async () => {
    const key = `k${++keys}`;
    const id = keyedRunId('Orders', 'ProcessOrder', key);
    // Another producer has stored a command and claimed after this client looked, before it claims: here, a worker's claim.
    const sub = rig.nc.subscribe(names.run(ADDRESS), {
      max: 1,
      callback: () => void rig.record(id, { type: 'queued', attempt: 0, sequence: 1 }, 0),
    });
    await rig.nc.flush();
    expect(await start(key)).toMatchObject({ duplicate: true, sequence: 1 });
    await sub.closed;
  });

  it('can be delayed, once', async () => {
    const key = `k${++keys}`;
    const before = await rig.count(names.streams.schedules);
    const first = await client.run('ProcessOrder', 'Orders', {}, 'u1', { idempotencyKey: key, delay: '1h' });
    const second = await client.run('ProcessOrder', 'Orders', {}, 'u1', { idempotencyKey: key, delay: '2h' });
    expect(first).toMatchObject({ duplicate: false, sequence: 0 });
    expect(second).toMatchObject({ id: first.id, duplicate: true });
    expect(await start(key)).toMatchObject({ id: first.id, duplicate: true });
    expect((await rig.count(names.streams.schedules)) - before).toBe(1);
    expect(await first.status()).toMatchObject({ status: 'queued' });
  });
});
