import { JOB, Rig, STREAMS, held, scaled, until } from '../rig/rig.js';

const LEASE_MS = 2000;

describe('leases', () => {
  const rig = Rig.use('each', { workflows: [{ ...JOB, options: { ...JOB.options, lease: LEASE_MS, concurrency: 2 } }] });

  /** Each run was called once, recorded once and lost never. */
  async function expectOnce(name: string): Promise<void> {
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: rig.acked.length, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    expect(rig.journal.entries.filter(({ kind }) => kind === 'start')).toHaveLength(rig.acked.length);
    held(name, balance);
  }

  it('long handlers and waiting commands keep their leases', async () => {
    const first = await rig.worker();
    await rig.worker();
    // A worker that settles fast takes commands ahead of its slots: those wait, leased, behind the slow ones.
    await rig.runs(scaled(2000, 400));
    await rig.runs(4, { job: { do: 'slow', ms: 3 * LEASE_MS } });
    await rig.runs(200);
    await rig.settled();
    expect(first.running).toBe(true);
    await expectOnce('handler of three leases');
  });

  it('blocking handlers and waiting commands keep their leases', async () => {
    await rig.worker();
    await rig.worker();
    await rig.runs(scaled(2000, 400));
    await rig.runs(2, { job: { do: 'block', ms: 3 * LEASE_MS } });
    await rig.runs(200);
    await rig.settled();
    await expectOnce('handler that blocks for three leases');
  });

  it('a busy worker keeps leases at their server', async () => {
    const worker = await rig.worker({ servers: [rig.url, rig.url.replace('127.0.0.1', 'localhost')] });
    await rig.runs(8, { job: { do: 'block', ms: 2600 } });
    await rig.settled(60_000);
    expect(worker.log()).not.toContain('Disconnected');
    await expectOnce('handlers that block, several servers');
  });

  it('a worker frozen past its lease loses the run', async () => {
    const gate = rig.gate();
    const frozen = await rig.worker();
    const heeding = await rig.run({ job: { do: 'hold', gate: gate.path } });
    const stubborn = await rig.run({ job: { do: 'stubborn', ms: 3000 } });
    await rig.journal.started(heeding.id);
    await rig.journal.started(stubborn.id);
    frozen.signal('SIGSTOP');
    const stoppedAt = Date.now();
    const other = await rig.worker();
    const isOthers = (runId: string) => (entry: { run: string; pid: number }) => entry.run === runId && entry.pid === other.pid;
    await rig.journal.find('the other worker has done the stubborn run', (e) => isOthers(stubborn.id)(e) && e.kind === 'effect');
    await rig.journal.find('the other worker has the heeding run', isOthers(heeding.id));
    await until('three leases have passed', () => Date.now() - stoppedAt > 3 * LEASE_MS);
    frozen.signal('SIGCONT');
    await rig.journal.find(
      'the signal of the stale worker is aborted',
      (e) => e.pid === frozen.pid && e.run === heeding.id && e.note === 'LEASE_LOST',
      2000,
    );
    await gate.open();
    await rig.settled();
    await rig.journal.find(
      'the stale worker has gone on with the stubborn run',
      (e) => e.pid === frozen.pid && e.run === stubborn.id && e.kind === 'effect',
    );
    // It is as good as new: the other one is not needed for the next runs.
    await other.kill();
    await rig.runs(10);
    await rig.settled();

    const events = await rig.events();
    for (const { id } of [heeding, stubborn]) {
      expect(
        events
          .get(id)
          ?.filter(({ type }) => type === 'succeeded')
          .map(({ worker }) => worker?.split(':').pop()),
      ).toEqual([String(other.pid)]);
    }
    expect(rig.journal.effects().get(heeding.id)).toBe(1);
    const balance = await rig.balance();
    // The stubborn handler does not ask its signal: two effects, but one outcome.
    expect(balance).toMatchObject({ executed: 12, dead: 0, lost: [], duplicates: 1, twiceEnded: [] });
    held('SIGSTOP for three leases', balance);
  });

  const withLease = (lease: number) => [{ ...JOB, options: { ...JOB.options, lease } }];
  const ackWaitMs = async (): Promise<number> => (await rig.consumer()).config.ack_wait! / 1e6;

  it('only a worker that starts alone shortens leases', async () => {
    const first = await rig.worker({}, withLease(30_000));
    const run = await rig.run({ job: { do: 'slow', ms: 6000 } });
    await rig.journal.started(run.id);
    const second = await rig.worker({}, withLease(1000));
    await rig.settled();
    await expectOnce('lease shortened under a run');
    expect(await ackWaitMs()).toBe(30_000);
    expect(second.log()).toMatch(/Rig~Job keeps its lease of 30000 ms/);
    await Promise.all([first.kill('SIGTERM'), second.kill('SIGTERM')]);
    await rig.worker({}, withLease(1000));
    expect(await ackWaitMs()).toBe(1000);
  });

  it('workers follow a lease shortened on the server', async () => {
    const workers = [await rig.worker({}, withLease(30_000)), await rig.worker({}, withLease(30_000))];
    const run = await rig.run({ job: { do: 'slow', ms: 4000 } });
    await rig.journal.started(run.id);
    await rig.jsm.consumers.update(STREAMS.runs, 'Rig~Job', { ack_wait: 1e9 });
    // Whatever reads the durable learns it: readiness here, a look each minute, a reconnect.
    await Promise.all(workers.map((worker) => worker.ready()));
    await rig.settled();
    await expectOnce('lease shortened by hand');
  });
});
