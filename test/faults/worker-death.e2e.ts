import { HEADER } from '@loopstack/shared';
import { JOB, Rig, STREAMS, held, scaled, until, type Published } from '../rig/rig.js';

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

  it('with commands that it had not started leaves them to expire at their deadline: none runs late', async () => {
    // Its part is played here: a worker takes commands ahead of its places, and nobody sees which of them it starts.
    await (await rig.worker()).kill('SIGTERM');
    const late = await Promise.all(Array.from({ length: 5 }, () => rig.run({}, { expiresIn: '1s' })));
    const again = await rig.run({ job: { do: 'fail-first' } }, { expiresIn: '10s' });
    const deadline = Date.now() + 1000;
    const next = `$JS.API.CONSUMER.MSG.NEXT.${STREAMS.runs}.Rig~Job`;
    for (const _ of late) await rig.nc.request(next, '1', { noMux: true, timeout: 5000 });
    await until('the deadline has passed', () => Date.now() > deadline);
    await rig.worker();
    await rig.settled();
    for (const { id } of late) {
      expect(rig.journal.of(id)).toEqual([]);
      expect((await rig.eventsOf(id)).map(({ type }) => type)).toEqual(['expired']);
    }
    expect(rig.journal.of(again.id).map(({ kind, attempt }) => `${kind} ${attempt}`)).toEqual(['start 1', 'start 2', 'effect 2']);
    held('SIGKILL with commands that expire', { expired: late.length });
  });

  it('does not make a run expire that has begun: its next attempt is made after the deadline, too', async () => {
    const options = { ...JOB.options, retry: { attempts: 3, delay: '1500ms', jitter: 0 } } as const;
    const worker = await rig.worker({}, [{ ...JOB, options }]);
    const run = await rig.run({ job: { do: 'fail-first' } }, { expiresIn: '1s' });
    await rig.journal.started(run.id);
    await until('its failure is recorded', async () => (await rig.eventsOf(run.id)).some(({ type }) => type === 'retrying'));
    await worker.kill();
    await rig.worker();
    await rig.settled();
    expect(rig.journal.of(run.id).map(({ kind, attempt }) => `${kind} ${attempt}`)).toEqual(['start 1', 'start 2', 'effect 2']);
  });
});
