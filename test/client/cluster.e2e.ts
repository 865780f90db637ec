import { LoopstackClient } from '@loopstack/client';
import { startNatsCluster, type NatsCluster } from '@loopstack/nats-server';
import { HEADER, encodeRunEvent, type RunHandle, type RunItem } from '@loopstack/shared/contract';
import { headers as natsHeaders, type NatsConnection } from 'nats';
import { harness } from '../rig/harness.js';
import { until } from '../until.js';
import { ADDRESS, codeOf, names } from './rig.js';
import { provisionStreams } from './streams.js';

describe('on three nodes', () => {
  const rig = harness();
  let cluster: NatsCluster;
  let nc: NatsConnection;
  let client: LoopstackClient;
  beforeAll(async () => {
    cluster = await rig.startCluster(startNatsCluster());
    nc = await rig.connect();
    await provisionStreams(nc, { replicas: 3 });
    client = rig.closeAtEnd(new LoopstackClient(nc, { publishTimeout: '30s', requestTimeout: '10s' }));
  });

  const info = async (stream: string): Promise<{ state: { messages: number }; cluster: { leader: string } }> =>
    (await nc.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeout: 10_000 })).json();
  const count = async (): Promise<number> => (await info(names.streams.runs)).state.messages;
  /** While a leader is elected, too. */
  const counted = async (): Promise<number> => (await until('the stream answers', async () => ({ is: await count() }), 30_000)).is;
  const items = (length: number): RunItem[] => Array.from({ length }, (_, n) => ({ ...ADDRESS, payload: { n }, userId: 'u1' }));

  async function outcome(run: RunHandle): Promise<void> {
    const headers = natsHeaders();
    headers.set(HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE, '0');
    const event = encodeRunEvent({ type: 'succeeded', at: new Date().toISOString(), attempt: 1, result: run.sequence });
    await nc.request(names.event(run, run.id), event, { headers, timeout: 10_000 });
  }

  it('runs, results, state, keys and cancel work as on one', async () => {
    const run = await client.run('ProcessOrder', 'Orders', {}, 'u1');
    expect(await until('its status is known', () => run.status(), 10_000)).toMatchObject({ status: 'queued' });
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
    await until('300 runs are published', () => runs.length > 300, 30_000);
    const { leader } = (await info(names.streams.runs)).cluster;
    const node = cluster.nodes.find(({ name }) => name === leader);
    await node?.kill('SIGKILL');
    const then = runs.length;
    await until('publishing goes on', () => runs.length > then + 300, 30_000);
    stop = true;
    await Promise.all(lanes);
    await node?.restart();
    expect(new Set(runs.map((run) => run.sequence)).size).toBe(runs.length);
    expect(await counted()).toBe(before + runs.length);
  });

  it('what is due reaches the runs stream, also when the leader of the schedules dies before', async () => {
    const before = await counted();
    const due = await Promise.all(
      Array.from({ length: 10 }, () => client.run('ProcessOrder', 'Orders', {}, 'u1', { delay: '4s', publishTimeout: '30s' })),
    );
    const { leader } = (await info(names.streams.schedules)).cluster;
    const node = cluster.nodes.find(({ name }) => name === leader);
    await node?.kill('SIGKILL');
    // The runs stream notices after 10 s that the leader of its source is gone, and tries again after up to as long.
    await until('all are due', async () => (await count()) >= before + 10, 100_000);
    for (const run of due) {
      expect(await until('its status is known', () => run.status())).toMatchObject({ status: 'queued', id: run.id });
    }
    await node?.restart();
    expect(await counted()).toBe(before + 10);
  }, 180_000);
});
