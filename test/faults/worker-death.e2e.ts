import { HEADER } from '@loopstack/shared';
import type { WorkerProcess } from '../rig/worker-process.js';
import type { PlannedWorkflow } from '../rig/worker/program.js';
import { JOB, Rig, STREAMS, held, scaled, until, type Published } from '../rig/rig.js';

/** Sixteen at a time and three attempts, the first of which may die. */
const untilGate = (gate: string): Published => ({ job: { do: 'hold-first', gate } });

describe('worker death', () => {
  const rig = Rig.use('each');

  /** A worker that comes up: one may be killed by what it consumes before it has said that it is ready. */
  async function restarted(crashed: () => void, workflows?: readonly PlannedWorkflow[]): Promise<WorkerProcess> {
    for (;;) {
      try {
        return await rig.worker({}, workflows);
      } catch (error) {
        if (!(error as Error).message.includes('it ended')) throw error;
        crashed();
      }
    }
  }

  it('runs of a killed worker resume within lease plus five seconds', async () => {
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

  it('death in the last attempt leaves a dead letter', async () => {
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

  it('a payload that always kills becomes a dead letter', async () => {
    let worker = await rig.worker();
    const poison = await rig.runs(2, { job: { do: 'kill' } });
    const healthy = await rig.runs(scaled(1000, 100), { job: { do: 'slow', ms: 20 } });
    let crashes = 0;
    // What a supervisor does: a new process for one that has ended.
    while (await Promise.race([worker.exited, rig.settled().then(() => undefined)])) {
      crashes++;
      worker = await restarted(() => crashes++);
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

  it('one killer among fifty runs delays no other', async () => {
    const crowd = [{ ...JOB, options: { ...JOB.options, concurrency: 50, retry: { attempts: 2, delay: '100ms' } } }] as const;
    let worker = await rig.worker({}, crowd);
    const quick = await rig.runs(20, { job: { do: 'slow-again', ms: 50 } });
    const slow = await rig.runs(8, { job: { do: 'slow-again', ms: 1500 } });
    const killer = await rig.run({ job: { do: 'kill-late', ms: 1200 } });
    const others = [...quick, ...slow, ...(await rig.runs(21, { job: { do: 'slow-again', ms: 50 } }))];
    let crashes = 0;
    while (await Promise.race([worker.exited, rig.settled(100_000).then(() => undefined)])) {
      crashes++;
      worker = await restarted(() => crashes++, crowd);
    }
    const letters = await rig.deadLetters();
    expect(letters.map((letter) => letter.header(HEADER.RUN_ID))).toEqual([killer.id]);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: others.length, dead: 1, lost: [], duplicates: 0, twiceEnded: [] });
    // Its attempts, and one more where others ran beside its last one.
    expect(crashes).toBeLessThanOrEqual(3);
    const starts = rig.journal.entries.filter(({ kind }) => kind === 'start');
    const first = Math.max(...starts.filter(({ attempt }) => attempt === 1).map(({ at }) => at));
    const last = Math.max(...starts.map(({ at }) => at));
    held('fifty suspects', balance, { crashes, 'all begun after': `${last - first} ms` });
    // 30 s for the turns, and what each crash costs: the lease and a start.
    expect(last - first).toBeLessThan(30_000 + crashes * 20_000);
  });

  it('unstarted commands of a killed worker expire on time', async () => {
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

  it('a started run retries after its deadline', async () => {
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
