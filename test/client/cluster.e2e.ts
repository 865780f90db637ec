import { LoopstackClient } from '@loopstack/client';
import { startNatsCluster, type NatsCluster } from '@loopstack/nats-server';
import { HEADER, encodeRunEvent, type RunHandle, type RunItem } from '@loopstack/shared/contract';
import { connect, headers as natsHeaders, type NatsConnection } from 'nats';
import { ADDRESS, codeOf, eventually, names } from './rig.js';
import { provisionStreams } from './streams.js';

describe('on three nodes', () => {
  let cluster: NatsCluster;
  let nc: NatsConnection;
  let client: LoopstackClient;
  beforeAll(async () => {
    cluster = await startNatsCluster();
    nc = await connect({ servers: cluster.url.split(','), maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    await provisionStreams(nc, { replicas: 3 });
    client = new LoopstackClient(nc, { publishTimeout: '30s', requestTimeout: '10s' });
  });
  afterAll(async () => {
    await client.close();
    await nc.close();
    await cluster.stop();
  });

  const info = async (stream: string): Promise<{ state: { messages: number }; cluster: { leader: string } }> =>
    (await nc.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeout: 10_000 })).json();
  const count = async (): Promise<number> => (await info(names.streams.runs)).state.messages;
  const items = (length: number): RunItem[] => Array.from({ length }, (_, n) => ({ ...ADDRESS, payload: { n }, userId: 'u1' }));

  async function outcome(run: RunHandle): Promise<void> {
    const headers = natsHeaders();
    headers.set(HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE, '0');
    const event = encodeRunEvent({ type: 'succeeded', at: new Date().toISOString(), attempt: 1, result: run.sequence });
    await nc.request(names.event(run, run.id), event, { headers, timeout: 10_000 });
  }

  it('runs, results, state, keys and cancel work as on one', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    expect(await eventually(() => run.status().catch(() => undefined))).toMatchObject({ status: 'queued' });
    const result = run.result();
    await outcome(run);
    expect(await result).toBe(run.sequence);
    const [first, second] = [await keyed('k1'), await keyed('k1')];
    expect([first.duplicate, second.duplicate, second.sequence]).toEqual([false, true, first.sequence]);
    await first.cancel();
    expect(await codeOf(first.result())).toBe('RUN_CANCELED');
  });

  const keyed = (idempotencyKey: string): Promise<RunHandle> => client.run('ProcessOrder', 'Orders', {}, 'u1', { idempotencyKey });

  it.each([true, false, 'auto' as const])('each run has its own sequence, with group commit %s', async (groupCommit) => {
    const own = new LoopstackClient(nc, { groupCommit, publishTimeout: '30s' });
    const before = await count();
    const runs = await Promise.all(items(2000).map(({ payload }) => own.run('ProcessOrder', 'Orders', payload, 'u1')));
    expect(new Set(runs.map((run) => run.sequence)).size).toBe(2000);
    expect(await count()).toBe(before + 2000);
    const jsm = await nc.jetstreamManager();
    for (const i of [0, 777, 1999]) {
      const stored = await jsm.streams.getMessage(names.streams.runs, { seq: runs[i]?.sequence as number });
      expect(stored.header.get(HEADER.RUN_ID)).toBe(runs[i]?.id);
    }
    await own.close();
  });

  it('bulk and all-or-nothing batches store what they say', async () => {
    const before = await count();
    expect(await client.runMany(items(3000))).toMatchObject({ accepted: 3000, failed: 0 });
    const runs = await client.fanOut(items(100));
    expect(await count()).toBe(before + 3100);
    const run = runs[50] as RunHandle;
    expect((await run.status()).sequence).toBe(run.sequence);
  });

  it('a leader that is killed loses no acknowledged run, and none is stored twice', async () => {
    const before = await count();
    const runs: RunHandle[] = [];
    let stop = false;
    const lanes = Array.from({ length: 50 }, async () => {
      while (!stop) runs.push(await client.run('ProcessOrder', 'Orders', {}, 'u1'));
    });
    await eventually(() => (runs.length > 300 ? true : undefined), 30_000);
    const { leader } = (await info(names.streams.runs)).cluster;
    const node = cluster.nodes.find(({ name }) => name === leader);
    await node?.kill('SIGKILL');
    const then = runs.length;
    await eventually(() => (runs.length > then + 300 ? true : undefined), 30_000);
    stop = true;
    await Promise.all(lanes);
    await node?.restart();
    expect(new Set(runs.map((run) => run.sequence)).size).toBe(runs.length);
    expect(await eventually(() => count().catch(() => undefined), 30_000)).toBe(before + runs.length);
  });

  it('what is due reaches the runs stream, also when the leader of the schedules dies before', async () => {
    const before = await eventually(() => count().catch(() => undefined), 30_000);
    const due = await Promise.all(
      Array.from({ length: 10 }, () => client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '4s', publishTimeout: '30s' })),
    );
    const { leader } = (await info(names.streams.schedules)).cluster;
    const node = cluster.nodes.find(({ name }) => name === leader);
    await node?.kill('SIGKILL');
    // The runs stream notices after 10 s that the leader of its source is gone, and tries again after up to as long.
    await eventually(async () => ((await count().catch(() => 0)) >= before + 10 ? true : undefined), 100_000);
    for (const run of due) {
      expect(await eventually(() => run.status().catch(() => undefined), 20_000)).toMatchObject({ status: 'queued', id: run.id });
    }
    await node?.restart();
    expect(await eventually(() => count().catch(() => undefined), 30_000)).toBe(before + 10);
  }, 180_000);
});
