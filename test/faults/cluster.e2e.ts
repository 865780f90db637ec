import type { LoopstackClient } from '@loopstack/client';
import type { LoopstackError } from '@loopstack/shared';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Rig, STREAMS, WORKSPACE, expectNothingFor, held, scaled, until } from '../rig/rig.js';
import type { WorkerProcess } from '../rig/worker-process.js';
import { unsettled } from '../unsettled.js';

const RESUMES_WITHIN_MS = 15_000;

/** Starts runs steadily, each until it is acknowledged: with the same key, as the error's remedy says. */
class Load {
  readonly acked: string[] = [];
  readonly errors = new Map<string, number>();
  #on = true;
  readonly #done: Promise<void>;

  constructor(
    private readonly client: LoopstackClient,
    everyMs: number,
    private readonly name = 'key',
  ) {
    this.#done = this.#work(everyMs);
  }

  async stop(): Promise<void> {
    this.#on = false;
    await this.#done;
  }

  async #work(everyMs: number): Promise<void> {
    const running: Promise<void>[] = [];
    while (this.#on) {
      const run = this.#publish(`${this.name}-${running.length}`);
      run.catch(() => undefined);
      running.push(run);
      await delay(everyMs);
    }
    await Promise.all(running);
  }

  async #publish(idempotencyKey: string): Promise<void> {
    for (;;) {
      try {
        this.acked.push((await this.client.run('Job', WORKSPACE, {}, 'u1', { idempotencyKey })).id);
        return;
      } catch (error) {
        const { code, retryable } = error as LoopstackError;
        this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
        if (!retryable) throw error;
        await delay(200);
      }
    }
  }
}

describe('a cluster of three', () => {
  let rig: Rig;
  let workers: WorkerProcess[];
  beforeEach(async () => {
    rig = await Rig.start({
      cluster: true,
      nats: { replicas: 3, publishTimeout: '2s' },
      workflows: [{ workspace: WORKSPACE, name: 'Job', options: { lease: '2s', concurrency: 16 } }],
    });
    workers = [await rig.worker(), await rig.worker()];
    await until('a first run is done', async () => {
      const { id } = await rig.run();
      await rig.journal.started(id, 1, 5000);
      return true;
    });
  });
  afterEach(async () => {
    const stopped = loads.splice(0).map((load) => load.stop());
    await rig?.end();
    await Promise.allSettled(stopped);
  });

  /** Stopped with the case, however it ends. */
  const loads: Load[] = [];
  const loadOf = (client: LoopstackClient, name?: string): Load => {
    const load = new Load(client, 20, name);
    loads.push(load);
    return load;
  };

  const leader = async (): Promise<string> => (await rig.jsm.streams.info(STREAMS.runs)).cluster?.leader ?? '';

  /** Longest time from `since` on in which no run began, milliseconds. */
  const longestGap = (since: number): number => {
    const starts = [since, ...rig.journal.entries.filter(({ kind, at }) => kind === 'start' && at >= since).map(({ at }) => at)].sort(
      (a, b) => a - b,
    );
    return Math.max(...starts.slice(1).map((at, i) => at - (starts[i] as number)), 0);
  };

  async function expectHeld(name: string, load: Load, since: number): Promise<void> {
    await load.stop();
    // By the journal: a server that has just come back may not know its consumers yet.
    await until('all that was acknowledged has run', () => {
      const effects = rig.journal.effects();
      return load.acked.every((id) => effects.has(id));
    });
    await rig.settled(60_000);
    const gapMs = longestGap(since);
    const balance = await rig.balance([...rig.acked, ...load.acked]);
    expect(balance).toMatchObject({ dead: 0, lost: [], twiceEnded: [] });
    expect(gapMs).toBeLessThan(RESUMES_WITHIN_MS);
    held(name, balance, { 'longest gap': `${gapMs} ms`, errors: [...load.errors.values()].reduce((sum, count) => sum + count, 0) });
  }

  it('consumption survives a killed leader without loss', async () => {
    const load = loadOf(await rig.producer({ publishTimeout: '2s' }));
    await until('the load is on', () => load.acked.length > 50);
    const node = rig.cluster.node(await leader());
    const killedAt = Date.now();
    await node.kill();
    await until('runs begin again', () => rig.journal.entries.some(({ at }) => at > killedAt + 1000), RESUMES_WITHIN_MS + 5000);
    await node.restart();
    await rig.cluster.ready();
    await expectHeld('leader killed', load, killedAt);
  });

  it('consumption survives a partitioned leader without loss', async () => {
    const node = rig.cluster.node(await leader());
    const others = rig.cluster.nodes.filter(({ name }) => name !== node.name).map(({ url }) => url);
    const load = loadOf(await rig.producer({ publishTimeout: '2s', servers: others.join(',') }));
    // Connected to the node that is cut off, it gets no acknowledgement there, and moves on.
    const nearby = await rig.producer({ publishTimeout: '2s', servers: [node.url, ...others].join(','), noRandomize: true });
    const cutOff = loadOf(nearby, 'cut');
    await until('both loads are on', () => Math.min(load.acked.length, cutOff.acked.length) > 50);
    const cutAt = Date.now();
    rig.cluster.cutOff(node);
    const before = cutOff.acked.length;
    await until('the producer that was cut off is heard again', () => cutOff.acked.length > before + 100, RESUMES_WITHIN_MS);
    await until('the leader is cut off for 20 s', () => Date.now() > cutAt + 20_000, 21_000);
    rig.cluster.heal(node);
    await cutOff.stop();
    load.acked.push(...cutOff.acked);
    await rig.cluster.ready();
    await expectHeld('leader cut off for 20 s', load, cutAt);
  });

  it('workers leave a partitioned leader within fifteen seconds', async () => {
    const node = rig.cluster.node(await leader());
    const others = rig.cluster.nodes.filter(({ name }) => name !== node.name).map(({ url }) => url);
    await Promise.all(workers.map((worker) => worker.end()));
    // Answers of a node that is cut off look as if all were well, and its servers are gone back to first.
    const near = await rig.worker({ servers: [node.url, ...others], connect: { noRandomize: true } });
    const load = loadOf(await rig.producer({ publishTimeout: '2s', servers: others.join(',') }));
    await until('the load is on', () => load.acked.length > 50);
    const cutAt = Date.now();
    rig.cluster.cutOff(node);
    await until('runs begin again', () => rig.journal.entries.some(({ kind, at }) => kind === 'start' && at > cutAt + 3000), 60_000);
    rig.cluster.heal(node);
    await rig.cluster.ready();
    await expectHeld('leader cut off with its workers', load, cutAt);
    expect(near.log()).toContain('the connection is made anew');
  });

  it('leases survive a partition of the worker node', async () => {
    const node = rig.cluster.node(await leader());
    const others = rig.cluster.nodes.filter(({ name }) => name !== node.name).map(({ url }) => url);
    await Promise.all(workers.map((worker) => worker.end()));
    const LEASE_MS = 20_000;
    const long = { workspace: WORKSPACE, name: 'Long', options: { lease: LEASE_MS, timeout: '5m', retry: { attempts: 3 } } } as const;
    for (let i = 0; i < 2; i++) await rig.worker({ servers: [node.url, ...others], connect: { noRandomize: true } }, [long]);
    const gate = rig.gate();
    const { id } = await rig.run({ workflow: 'Long', job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(id);
    rig.cluster.cutOff(node);
    await expectNothingFor(LEASE_MS + 10_000, 'more than its start', () => rig.journal.of(id)[1]);
    await gate.open();
    rig.cluster.heal(node);
    await rig.cluster.ready();
    // The workers of the other workflow have ended: what a leader that is cut off forgets of its last acknowledgement waits for one.
    const left = (): Promise<number> => unsettled(rig.jsm, STREAMS.runs, `${WORKSPACE}~Long`);
    await until('the long run is settled', async () => (await left()) === 0, 60_000);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('a long run in a worker that was cut off', balance);
  });

  it('a starting worker waits for a leader', async () => {
    const [, second, third] = rig.cluster.nodes;
    await second?.kill();
    await third?.kill();
    const starting = rig.worker();
    const said = async (): Promise<boolean> =>
      (await readFile(join(rig.home, 'worker-3.log'), 'utf8')).includes('JetStream is asked again');
    await Promise.race([starting, until('it says that it waits', said)]);
    await second?.restart();
    await third?.restart();
    const worker = await starting;
    await rig.cluster.ready();
    await until('it is ready', async () => (await worker.ready()).up, RESUMES_WITHIN_MS);
  });

  it('a minority acknowledges nothing and loses nothing acknowledged', async () => {
    const client = await rig.producer({ publishTimeout: '1s' });
    const runs = await Promise.all(
      Array.from({ length: scaled(2000, 200) }, () => client.run('Job', WORKSPACE, { do: 'slow', ms: 5 }, 'u1')),
    );
    for (const { id } of runs) rig.acked.push(id);
    const [, second, third] = rig.cluster.nodes;
    await second?.kill();
    await third?.kill();
    const codes = new Map<string, number>();
    const publish = (): Promise<void> =>
      client.run('Job', WORKSPACE, { note: 'without a majority' }, 'u1').then(
        ({ id }) => {
          throw new Error(`${id} was acknowledged without a majority`);
        },
        ({ code }: LoopstackError) => void codes.set(code, (codes.get(code) ?? 0) + 1),
      );
    for (let i = 0; i < scaled(20, 5); i++) await Promise.all(Array.from({ length: 10 }, publish));
    expect([...codes.keys()].every((code) => code === 'PUBLISH_TIMEOUT' || code === 'PUBLISH_UNAVAILABLE')).toBe(true);
    await second?.restart();
    await third?.restart();
    await rig.cluster.ready();
    const backAt = Date.now();
    const run = await until('a run is stored', () => rig.run().catch(() => undefined), RESUMES_WITHIN_MS);
    await rig.journal.started(run.id, 1, RESUMES_WITHIN_MS);
    const resumedMs = Date.now() - backAt;
    expect(resumedMs).toBeLessThan(RESUMES_WITHIN_MS);
    await rig.settled(60_000);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ dead: 0, lost: [], twiceEnded: [] });
    held('two of three down', balance, {
      refused: [...codes.values()].reduce((sum, count) => sum + count, 0),
      'consuming again after': `${resumedMs} ms`,
    });
  });
});
