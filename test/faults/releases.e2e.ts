import { Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, contractKey, noticeKey, type RunEvent } from '@loopstack/shared';
import { WORKSPACE, Rig, held, scaled, until } from '../rig/rig.js';
import type { WorkerProcess } from '../rig/worker-process.js';
import type { PlannedFields, PlannedWorkflow } from '../rig/worker/program.js';

const BUCKET = 'LOOPSTACK_CATALOGUE';
const OLD = { amount: 1 };
const NEW = { amount: 1, note: 'n' };

const flow = (payload: PlannedFields, options: PlannedWorkflow['options'] = {}): PlannedWorkflow => ({
  workspace: WORKSPACE,
  name: 'Job',
  payload,
  options: { lease: '10s', ...options },
});
const old = (options?: PlannedWorkflow['options']): PlannedWorkflow[] => [flow({ amount: 'int' }, options)];
const young = (options?: PlannedWorkflow['options']): PlannedWorkflow[] => [flow({ amount: 'int', note: 'string' }, options)];

const refusalsOf = (events: readonly RunEvent[] = []): readonly RunEvent[] => events.filter(({ refusal }) => refusal !== undefined);

describe('commands that a release refuses', () => {
  const rig = Rig.use('each');

  async function deadLetters(count: number, deadlineMs = 30_000): Promise<readonly string[]> {
    await until(`there are ${count} dead letters`, async () => (await rig.deadLetters()).length >= count, deadlineMs);
    return (await rig.deadLetters()).map((letter) => `${letter.header(HEADER.DEAD_REASON)} ${letter.header(HEADER.DEAD_CODE)}`);
  }

  /** Says in the bucket that a release runs that takes anything, and never again. */
  async function claim(silenceMs: number): Promise<void> {
    const kv = await rig.nc.jetstream().views.kv(BUCKET);
    await kv.put(contractKey({ workspace: WORKSPACE, workflow: 'Job' }, 'anything'), '{}');
    await kv.put(noticeKey(WORKSPACE, 'claimed'), JSON.stringify({ silenceMs, contracts: { Job: 'anything' } }));
  }

  it.each(['SIGTERM', 'SIGKILL'] as const)('refused commands die soon after the other release got %s', async (signal) => {
    const silence = { releaseSilence: '4s' } as const;
    const first = await rig.worker(silence, old());
    await rig.worker(silence, young());
    const done = await rig.runs(10, { job: OLD });
    await rig.settled();
    expect(rig.journal.effects().size).toBe(done.length);
    await first.kill(signal);
    const began = Date.now();
    const runs = await rig.runs(10, { job: OLD });
    expect(await deadLetters(runs.length)).toEqual(runs.map(() => 'invalid PAYLOAD_INVALID'));
    const ms = Date.now() - began;
    await rig.settled();
    const events = await rig.events();
    const last = runs.map(({ id }) => events.get(id)?.at(-1));
    expect(last.map((event) => [event?.type, event?.error?.errors?.map(({ path }) => path)])).toEqual(runs.map(() => ['failed', ['note']]));
    const tries = runs.map(({ id }) => refusalsOf(events.get(id)).length);
    expect(Math.max(...tries)).toBeLessThan(15);
    held(`refused after ${signal}`, await rig.balance(), { 'dead after ms': ms, 'given back at most': Math.max(...tries) });
    // From then on at once.
    const late = await rig.run({ job: OLD });
    await deadLetters(runs.length + 1);
    expect(refusalsOf(await rig.eventsOf(late.id))).toEqual([]);
  });

  it('without another release refused commands die at once', async () => {
    await rig.worker({}, old({ waitForRelease: '0s' }));
    const other = await rig.worker({}, young({ waitForRelease: '0s' }));
    const runs = await rig.runs(40, { job: NEW });
    await rig.settled();
    const dead = await deadLetters(1);
    const done = rig.journal.entries.filter(({ kind }) => kind === 'effect');
    expect(dead.length + done.length).toBe(runs.length);
    expect(done.filter(({ pid }) => pid !== other.pid)).toEqual([]);
    expect([...(await rig.events()).values()].flatMap(refusalsOf)).toEqual([]);
  });

  it('a forged catalogue cannot extend the wait', async () => {
    const worker = await rig.worker({}, old({ waitForRelease: '3s' }));
    await claim(3_600_000);
    const { id } = await rig.run({ job: NEW });
    await until('it is given back', async () => refusalsOf(await rig.eventsOf(id)).length > 1);
    expect(await deadLetters(1)).toEqual(['invalid PAYLOAD_INVALID']);
    const given = refusalsOf(await rig.eventsOf(id));
    expect(given.map(({ type, attempt, refusal }) => [type, attempt, refusal?.count])).toEqual(given.map((_, i) => ['queued', 0, i + 1]));
    const died = (await rig.eventsOf(id)).at(-1);
    expect(Date.parse(died?.at ?? '') - Date.parse(given[0]?.at ?? '')).toBeGreaterThanOrEqual(2900);
    expect(given.at(-1)?.refusal?.waitedMs).toBeGreaterThanOrEqual(3000);
    expect(given.length).toBeLessThan(8);
    expect(worker.running).toBe(true);
  });

  it('the log, health and the run show the wait', async () => {
    const worker = await rig.worker({}, old());
    await claim(3_600_000);
    const runs = await rig.runs(20, { job: NEW });
    await until('all are given back', async () => {
      const events = await rig.events();
      return runs.every(({ id }) => refusalsOf(events.get(id)).length > 1);
    });
    const lines = worker.log().match(/left to workers of another release/g) ?? [];
    expect(lines).toHaveLength(1);
    const { loopstack } = await worker.ask<{ loopstack: Record<string, unknown> }>('ready');
    expect(loopstack).toMatchObject({ status: 'up', otherRelease: [{ workspace: WORKSPACE, workflow: 'Job' }] });
    const state = await (await rig.producer()).get(runs[0]?.id ?? '');
    expect(state).toMatchObject({ status: 'queued', attempt: 0, error: { code: 'PAYLOAD_INVALID' } });
  });

  it.each<[string, PlannedWorkflow['options'], Parameters<Rig['run']>[1]]>([
    ['records nothing', { record: 'none' }, undefined],
    ['records everything', { record: 'full' }, undefined],
    ['has a single attempt', { retry: { attempts: 1 } }, undefined],
    ['has queues for priorities', { priorities: true }, { priority: 'high' }],
    ['is started by key', {}, { idempotencyKey: 'k' }],
  ])('the other release runs the command where the workflow %s', async (_, options, start) => {
    const workers = [await rig.worker({}, old(options)), await rig.worker({}, young(options))];
    const key = start?.idempotencyKey;
    const sent = Array.from(
      { length: 40 },
      (_one, i) => [i % 2, { ...start, ...(key === undefined ? {} : { idempotencyKey: `${key}${i}` }) }] as const,
    );
    const runs = await Promise.all(
      sent.map(async ([release, more]) => ({ release, id: (await rig.run({ job: [OLD, NEW][release] as object }, more)).id })),
    );
    await rig.settled(60_000);
    expect(await rig.deadLetters()).toEqual([]);
    const events = await rig.events();
    let given = 0;
    for (const { release, id } of runs) {
      const effects = rig.journal.of(id).filter(({ kind }) => kind === 'effect');
      expect(effects.map(({ pid, attempt }) => [pid, attempt])).toEqual([[workers[release]?.pid, 1]]);
      if (refusalsOf(events.get(id)).length === 0) continue;
      given++;
      expect(events.get(id)?.at(-1)).toMatchObject({ type: 'succeeded', attempt: 1 });
    }
    expect(given).toBeGreaterThan(0);
  });

  it('a waiting command can be canceled', async () => {
    await rig.worker({}, old());
    await claim(3_600_000);
    const { id } = await rig.run({ job: NEW });
    await until('it is given back', async () => refusalsOf(await rig.eventsOf(id)).length > 0);
    await (await rig.producer()).cancel(id);
    await rig.settled();
    expect((await rig.eventsOf(id)).at(-1)?.type).toBe('canceled');
    expect(await rig.deadLetters()).toEqual([]);
  });

  it('custom rules decide between releases with equal schemas', async () => {
    const even = await rig.worker({}, [flow({ amount: 'even' })], [], { release: '1.0' });
    const odd = await rig.worker({}, [flow({ amount: 'odd' })], [], { release: '1.1' });
    const amounts = Array.from({ length: 40 }, (_, i) => i);
    const runs = await Promise.all(amounts.map(async (amount) => ({ amount, id: (await rig.run({ job: { amount } })).id })));
    const nobodys = await Promise.all(['x', 1.5, null].map((amount) => rig.run({ job: { amount } })));
    await rig.settled(60_000);
    for (const { amount, id } of runs) {
      const effects = rig.journal.of(id).filter(({ kind }) => kind === 'effect');
      expect(effects.map(({ pid }) => pid)).toEqual([amount % 2 === 0 ? even.pid : odd.pid]);
    }
    expect(new Set((await rig.deadLetters()).map((letter) => letter.header(HEADER.RUN_ID)))).toEqual(new Set(nobodys.map(({ id }) => id)));
    // One after the other has refused it, and nobody is left.
    const events = await rig.events();
    for (const { id } of nobodys) expect(refusalsOf(events.get(id)).at(-1)?.refusal?.by).toHaveLength(1);
  });

  it('many refused commands cost few catalogue reads', async () => {
    await rig.worker({}, old());
    let reads = 0;
    rig.nc.subscribe(`$JS.API.STREAM.MSG.GET.KV_${BUCKET}`, { callback: () => reads++ });
    await rig.nc.flush();
    const began = Date.now();
    const runs = await rig.runs(scaled(20_000, 2000), { job: NEW });
    await deadLetters(runs.length, 60_000);
    await rig.nc.flush();
    const looks = Math.ceil((Date.now() - began) / 250) + 1;
    expect(reads).toBeGreaterThan(0);
    // A look reads each notice, of which there is one, and that there is no other. What the worker tidies at its start reads a few, too.
    expect(reads).toBeLessThanOrEqual(2 * looks + 5);
    held('flood of refused commands', await rig.balance(), { reads, 'looks at most': looks });
  });

  it('without a catalogue refused commands die at once', async () => {
    await rig.worker({}, old());
    await rig.jsm.streams.delete(`KV_${BUCKET}`);
    const { id } = await rig.run({ job: NEW });
    expect(await deadLetters(1)).toEqual(['invalid PAYLOAD_INVALID']);
    expect(refusalsOf(await rig.eventsOf(id))).toEqual([]);
  });
});

describe('releases with different settings', () => {
  const rig = Rig.use('each');

  const config = async (): Promise<object> => {
    const { ack_wait, max_ack_pending, max_deliver, filter_subjects } = (await rig.consumer()).config;
    return { ack_wait, max_ack_pending, max_deliver, filter_subjects };
  };

  it('releases share runs and leave the durable alone', async () => {
    const first: PlannedWorkflow[] = [
      {
        workspace: WORKSPACE,
        name: 'Job',
        options: { lease: '5s', timeout: '1m', concurrency: 2, retry: { attempts: 2, delay: '50ms', jitter: 0 } },
      },
    ];
    const second: PlannedWorkflow[] = [
      {
        workspace: WORKSPACE,
        name: 'Job',
        options: { lease: '20s', timeout: '2m', concurrency: 16, retry: { attempts: 6, delay: '100ms', factor: 1 } },
      },
    ];
    const workers: WorkerProcess[] = [await rig.worker({}, first), await rig.worker({}, second)];
    const before = await config();
    const runs = await rig.runs(scaled(1000, 100), { job: { do: 'fail-first', failures: 1 } });
    // Replicas of both, as a roll starts them, in turns.
    workers.push(await rig.worker({}, first), await rig.worker({}, second));
    await rig.settled(60_000);
    expect(await config()).toEqual(before);
    expect(before).toMatchObject({ ack_wait: 20_000_000_000 });
    for (const worker of workers.slice(2)) expect(worker.log()).not.toContain('Updated consumer');
    const { executed, duplicates } = await rig.balance();
    expect({ executed, duplicates, dead: await rig.deadLetters() }).toEqual({ executed: runs.length, duplicates: 0, dead: [] });
  });

  it('releases make the attempts that others announced', async () => {
    const options = (attempts: number): PlannedWorkflow[] => [
      { workspace: WORKSPACE, name: 'Job', options: { concurrency: 1, retry: { attempts, delay: '200ms', factor: 1, jitter: 0 } } },
    ];
    const patient = await rig.worker({}, options(10));
    const { id } = await rig.run({ job: { do: 'fail-first', failures: 4 } });
    await until('it has failed three times', async () =>
      (await rig.eventsOf(id)).some(({ type, attempt }) => type === 'retrying' && attempt === 3),
    );
    const hasty = await rig.worker({}, options(2));
    await patient.kill('SIGTERM');
    await rig.settled();
    const last = (await rig.eventsOf(id)).at(-1);
    // Its own policy ends it where it fails again, and says that it failed: nobody has died.
    expect(last?.error?.code ?? last?.type).toMatch(/^(succeeded|HANDLER_FAILED)$/);
    expect(hasty.running).toBe(true);
  });
});

@Workflow({ name: 'After' })
class After {
  run(payload: { readonly n: number }, ctx: RunContext): string {
    return `${payload.n} by ${ctx.workflow}`;
  }
}

/** What was sent under the name of before is run by what has it now. */
@Workflow({ name: 'Before' })
class Before extends After {}

@Workspace({ name: WORKSPACE, workflows: [After, Before] })
class Renamed {}

describe('workflows of one release only', () => {
  const rig = Rig.use('each');

  const named = (...names: string[]): PlannedWorkflow[] => names.map((name) => ({ workspace: WORKSPACE, name, options: { lease: '2s' } }));

  it('an empty subclass serves the old name', async () => {
    const client = await rig.producer();
    await rig.startApp([After, Before, Renamed]);
    for (const name of ['Before', 'After']) {
      const run = await client.run(name, WORKSPACE, { n: 1 }, 'u1');
      expect(await run.result()).toBe(`1 by ${name}`);
    }
  });

  it('new, removed and renamed workflows run every command', async () => {
    const first = await rig.worker({}, named('Job', 'Gone', 'Before'));
    // Producers may be faster than workers.
    const early = await rig.runs(10, { workflow: 'Young' });
    const second = await rig.worker({}, named('Job', 'Young', 'After'));
    const sent = new Map<string, number | undefined>(early.map(({ id }) => [id, second.pid]));
    for (const [workflow, pid] of [
      ['Job', undefined],
      ['Young', second.pid],
      ['After', second.pid],
      ['Gone', first.pid],
      ['Before', first.pid],
    ] as const) {
      for (const { id } of await rig.runs(20, { workflow })) sent.set(id, pid);
    }
    await rig.settled();
    for (const [id, pid] of sent) {
      const effects = rig.journal.of(id).filter(({ kind }) => kind === 'effect');
      expect(effects).toHaveLength(1);
      if (pid !== undefined) expect(effects[0]?.pid).toBe(pid);
    }
    await first.kill('SIGTERM');
    // What comes for the old names waits, and is not lost, until somebody serves them again.
    const late = [...(await rig.runs(5, { workflow: 'Gone' })), ...(await rig.runs(5, { workflow: 'Before' }))];
    const ran = await rig.runs(5, { workflow: 'Job' });
    await until('the others are run', () => ran.every(({ id }) => rig.journal.of(id).some(({ kind }) => kind === 'effect')));
    await until('what is left has its old name', async () => (await rig.queued()) === late.length);
    expect(await rig.deadLetters()).toEqual([]);
    await rig.worker({}, named('Gone', 'Before'));
    await rig.settled();
    expect(late.filter(({ id }) => rig.journal.effects().get(id) !== 1)).toEqual([]);
  });
});
