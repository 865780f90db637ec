import { HEADER } from '@loopstack/shared';
import { Rig, held, scaled, type Published } from '../rig/rig.js';

/** Sixteen at a time and three attempts, the first of which may die. */
const untilGate = (gate: string): Published => ({ job: { do: 'hold-first', gate } });

describe('a worker that is killed', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start();
  });
  afterEach(() => rig.end());

  it('leaves its runs to another worker, which runs them again within the lease and five seconds', async () => {
    const rounds = scaled(5, 1);
    const latest: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const gate = rig.gate();
      const first = await rig.worker();
      const runs = await rig.runs(16, untilGate(gate.path));
      for (const { id } of runs) await rig.journal.started(id);
      const second = await rig.worker();
      await first.kill();
      const killedAt = Date.now();
      await rig.settled();
      const again = rig.journal.entries.filter((entry) => entry.pid === second.pid && entry.kind === 'start');
      expect(again).toHaveLength(16);
      latest.push(Math.max(...again.map((entry) => entry.at)) - killedAt);
      await second.kill();
    }
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: 16 * rounds, executed: 16 * rounds, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    expect(Math.max(...latest)).toBeLessThan(1000 + 5000);
    held('SIGKILL in the middle of a run', balance, { 'run again after': `${Math.max(...latest)} ms` });
  });

  it('in the last attempt of a run leaves a dead letter with the reason and the original headers, and the run is not executed again', async () => {
    const gate = rig.gate();
    const first = await rig.worker();
    const run = await rig.run(
      { job: { do: 'fail-then-hold', failures: 2, gate: gate.path } },
      { headers: { 'X-Order': '42', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' } },
    );
    await rig.journal.started(run.id, 3);
    await first.kill();
    const second = await rig.worker();
    await rig.settled();
    const [letter, ...more] = await rig.deadLetters();
    expect(more).toEqual([]);
    expect(letter?.header(HEADER.RUN_ID)).toBe(run.id);
    expect(letter?.header(HEADER.DEAD_REASON)).toBe('worker-died');
    expect(letter?.header(HEADER.DEAD_ATTEMPTS)).toBe('3');
    expect(letter?.header('X-Order')).toBe('42');
    expect(letter?.header('traceparent')).toBe('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    expect(JSON.parse(new TextDecoder().decode(letter?.data))).toMatchObject({ userId: 'u1', payload: { do: 'fail-then-hold' } });
    expect(rig.journal.of(run.id).filter((entry) => entry.pid === second.pid)).toEqual([]);
    const events = await rig.eventsOf(run.id);
    expect(events.map(({ type }) => type)).toEqual(['retrying', 'started', 'retrying', 'started', 'failed']);
    expect(events.at(-1)?.error).toMatchObject({ code: 'WORKER_DIED' });
    held('SIGKILL in the last attempt', await rig.balance());
  });

  it('is what a payload does each time: it ends as a dead letter after its attempts, and the other runs go on', async () => {
    let worker = await rig.worker();
    const poison = await rig.runs(2, { job: { do: 'kill' } });
    const healthy = await rig.runs(scaled(1000, 100), { job: { do: 'slow', ms: 20 } });
    let crashes = 0;
    // What a supervisor does: a new process for one that has ended.
    while (await Promise.race([worker.exited, rig.settled().then(() => undefined)])) {
      crashes++;
      worker = await rig.worker();
    }
    const balance = await rig.balance();
    const letters = await rig.deadLetters();
    expect(new Set(letters.map((letter) => letter.header(HEADER.RUN_ID)))).toEqual(new Set(poison.map(({ id }) => id)));
    for (const letter of letters) expect(letter.header(HEADER.DEAD_REASON)).toBe('worker-died');
    expect(balance).toMatchObject({ executed: healthy.length, dead: poison.length, lost: [], twiceEnded: [] });
    // No more than the attempts of both.
    expect(crashes).toBeLessThanOrEqual(6);
    held('payload that kills its process', balance, { crashes });
  });
});
