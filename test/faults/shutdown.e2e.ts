import { Rig, WORKSPACE, held, scaled, until } from '../rig/rig.js';

describe('shutdown', () => {
  const rig = Rig.use('each', { workflows: [{ workspace: WORKSPACE, name: 'Job', options: { lease: '30s', concurrency: 32 } }] });
  beforeEach(() => {
    // A long lease: what is given back must not wait for it.
  });

  it('a stopping worker finishes its runs and exits 0', async () => {
    const first = await rig.worker();
    const runs = await rig.runs(20, { job: { do: 'slow', ms: 1500 } });
    for (const { id } of runs) await rig.journal.started(id);
    first.signal('SIGTERM');
    await until('it stops pulling', () => first.log().includes('Stopping: 20 runs'));
    // Queued meanwhile, for the next worker.
    const later = await rig.runs(20);
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(rig.journal.effects().size).toBe(20);
    const { num_redelivered } = await rig.consumer();
    expect(num_redelivered).toBe(0);
    const second = await rig.worker();
    await rig.settled();
    const bySecond = rig.journal.entries.filter(({ kind, pid }) => kind === 'start' && pid === second.pid);
    expect(bySecond.map(({ run }) => run).sort()).toEqual(later.map(({ id }) => id).sort());
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 40, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('SIGTERM within the grace period', balance, { redelivered: num_redelivered });
  });

  it('runs past the grace period move without losing attempts', async () => {
    const gate = rig.gate();
    const first = await rig.worker({ shutdownGrace: '500ms' });
    const runs = await rig.runs(20, { job: { do: 'hold', gate: gate.path } });
    for (const { id } of runs) await rig.journal.started(id);
    const second = await rig.worker();
    first.signal('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    const entriesOf = (pid: number, kind: string) => rig.journal.entries.filter((entry) => entry.pid === pid && entry.kind === kind);
    await until('the other worker has started all of them', () => entriesOf(second.pid, 'start').length === runs.length);
    const abortedAt = Math.max(...entriesOf(first.pid, 'aborted').map(({ at }) => at));
    const lateMs = Math.max(...entriesOf(second.pid, 'start').map(({ at }) => at)) - abortedAt;
    expect(lateMs).toBeLessThan(2000);
    expect(entriesOf(second.pid, 'start').every(({ attempt }) => attempt === 1)).toBe(true);
    expect(entriesOf(first.pid, 'aborted').map(({ note }) => note)).toEqual(Array(20).fill('CLOSED'));
    await gate.open();
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 20, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('SIGTERM past the grace period', balance, { 'run elsewhere after': `${lateMs} ms` });
  });

  it('a stopping worker returns commands it has not started', async () => {
    const workers = [await rig.worker(), await rig.worker()];
    const count = scaled(20_000, 4000);
    const published = rig.runs(count);
    for (let stops = 0; stops < 3; stops++) {
      await until('the flood is on', () => rig.journal.effects().size > (stops * count) / 4);
      const [oldest] = workers.splice(0, 1);
      oldest?.signal('SIGTERM');
      workers.push(await rig.worker());
      expect(await oldest?.exited).toEqual({ code: 0, signal: null });
    }
    await published;
    await rig.settled(20_000);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: count, executed: count, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('rolling restart in a flood', balance);
  });

  it('a stopping worker exits in time without a server', async () => {
    const gate = rig.gate();
    const worker = await rig.worker({ shutdownGrace: '1s', publishTimeout: '1s' });
    const { id } = await rig.run({ job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(id);
    await rig.server.kill();
    worker.signal('SIGTERM');
    const stoppedAt = Date.now();
    await worker.exited;
    const tookMs = Date.now() - stoppedAt;
    expect(tookMs).toBeLessThan(5000);
    held('SIGTERM without a server', { 'ended after': `${tookMs} ms` });
  });
});
