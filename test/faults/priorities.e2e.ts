import { gagged } from '../rig/accounts.js';
import { Rig, STREAMS, WORKSPACE, held, until, type Published } from '../rig/rig.js';
import type { PlannedWorkflow } from '../rig/worker/program.js';

/** As it is deployed before and after somebody changes `priorities`. */
const job = (priorities: boolean): readonly PlannedWorkflow[] => [
  {
    workspace: WORKSPACE,
    name: 'Job',
    options: { priorities, concurrency: 4, lease: '2s', retry: { attempts: 3, delay: '3s', jitter: 0 } },
  },
];

const KEPT = { keepExecuted: '1s' } as const;

describe('priorities', () => {
  const rig = Rig.use('each');

  const high = (published: Published): Promise<{ id: string }> => rig.run(published, { priority: 'high' });
  const startsOf = (id: string): number => rig.journal.of(id).filter(({ kind, attempt }) => kind === 'start' && attempt === 1).length;
  const commandsLeft = async (): Promise<number> => (await rig.jsm.streams.info(STREAMS.runs)).state.messages;

  it('removing priorities loses no command', async () => {
    const gate = rig.gate();
    const first = await rig.worker({ shutdownGrace: '200ms' }, job(true));
    const slow = await Promise.all(Array.from({ length: 20 }, () => high({ job: { do: 'hold-first', gate: gate.path } })));
    await until('all places are taken', () => slow.filter(({ id }) => startsOf(id) > 0).length === 4);
    const quick = await rig.runs(10);
    await first.kill('SIGTERM');
    await gate.open();
    const second = await rig.worker({ runs: KEPT }, job(false));
    await rig.settled();
    const more = await high({});
    await rig.settled();
    await until('executed commands are trimmed', async () => (await commandsLeft()) === 0);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: slow.length + quick.length + 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    expect(rig.journal.of(more.id)).toHaveLength(2);
    expect(second.log()).toMatch(/Rig\.Job has queues of its own for priorities, and they stay/);
    held('priorities taken off', balance);
  });

  it('adding priorities beside older workers repeats no run', async () => {
    const gate = rig.gate();
    const old = await rig.worker({ runs: KEPT }, job(false));
    const running = await Promise.all(Array.from({ length: 3 }, () => high({ job: { do: 'hold', gate: gate.path } })));
    for (const { id } of running) await rig.journal.started(id);
    const failing = await high({ job: { do: 'fail-first' } });
    await rig.journal.started(failing.id);
    // More than the places of the old worker: they wait in the durable that takes all.
    const queued = await Promise.all(Array.from({ length: 20 }, () => high({ job: { do: 'hold', gate: gate.path } })));
    const young = await rig.worker({ runs: KEPT }, job(true));
    const [, behind] = await Promise.all([rig.runs(10), high({})]);
    await gate.open();
    await rig.settled();
    await until('executed commands are trimmed', async () => (await commandsLeft()) === 0);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 3 + 1 + 20 + 10 + 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    for (const { id } of [...running, failing, ...queued]) expect(startsOf(id)).toBe(1);
    expect(rig.journal.of(behind.id).map(({ pid }) => pid)).toEqual([young.pid, young.pid]);
    // The old worker goes on with what is left to it.
    expect((await Promise.all([old.ready(), young.ready()])).map(({ up }) => up)).toEqual([true, true]);
    held('priorities given in a rolling deployment', balance);
  });

  it('lanes left by older releases are drained', async () => {
    const first = await rig.worker({}, job(true));
    await first.kill('SIGTERM');
    const waiting = await high({});
    const { filter_subject: normal, ...config } = (await rig.consumer()).config;
    const filters = [normal, 'loopstack.lane.high.Rig.Job', 'loopstack.lane.low.Rig.Job'];
    const wide = { stream_name: STREAMS.runs, config: { ...config, filter_subjects: filters } };
    await rig.nc.request(`$JS.API.CONSUMER.DURABLE.CREATE.${STREAMS.runs}.Rig~Job`, JSON.stringify(wide));
    expect((await rig.consumer()).config.filter_subjects).toHaveLength(3);
    await rig.worker({}, job(false));
    await rig.settled();
    expect(startsOf(waiting.id)).toBe(1);
    expect((await rig.consumer()).config).toMatchObject({ filter_subject: 'loopstack.run.Rig.Job' });
    held('lanes that were left behind', await rig.balance());
  });
});

describe('the split of a durable into lanes', () => {
  let rig: Rig;
  afterEach(() => rig?.end());

  const GAGGED = { connect: { user: 'gagged', pass: 'gagged' } } as const;
  const ADMIN = { connect: { user: 'admin', pass: 'admin' } } as const;
  const API = '$JS.API.CONSUMER';
  /** Nothing tells of a run that it was executed. */
  const unrecorded = (priorities: boolean): readonly PlannedWorkflow[] => [
    { workspace: WORKSPACE, name: 'Job', options: { priorities, concurrency: 4, lease: '2s', record: 'none' } },
  ];
  const highs = (count: number, published: Published = {}): Promise<readonly { id: string }[]> =>
    Promise.all(Array.from({ length: count }, () => rig.run(published, { priority: 'high' })));

  async function expectOnce(name: string): Promise<void> {
    await rig.settled();
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: rig.acked.length, dead: 0, lost: [], duplicates: 0 });
    expect(rig.journal.entries.filter(({ kind }) => kind === 'start')).toHaveLength(rig.acked.length);
    held(name, balance);
  }

  it.each([
    ['before the durable is narrowed', `${API}.DURABLE.CREATE.*.Rig~Job`],
    ['before the first lane is made', `${API}.DURABLE.CREATE.*.Rig~Job~high`],
    ['before the last lane is made', `${API}.DURABLE.CREATE.*.Rig~Job~low`],
  ])('a split interrupted %s is completed without loss', async (when, denied) => {
    rig = await Rig.start({ server: { config: gagged(denied) } });
    await rig.worker(ADMIN, unrecorded(false));
    await highs(10);
    await rig.settled();
    await expect(rig.worker(GAGGED, unrecorded(true))).rejects.toThrow(/did not start/);
    await highs(10);
    const gate = rig.gate();
    const running = await rig.run({ job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(running.id);
    await rig.worker(ADMIN, unrecorded(true));
    await highs(10);
    await gate.open();
    await expectOnce(`split that ended ${when}`);
  });

  it('a split without pausing repeats no held command', async () => {
    rig = await Rig.start({ server: { config: gagged(`${API}.PAUSE.>`) } });
    await rig.worker(ADMIN, unrecorded(false));
    const gate = rig.gate();
    const [first] = await highs(10, { job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(first?.id ?? '');
    await rig.worker(GAGGED, unrecorded(true));
    await highs(10);
    await gate.open();
    await expectOnce('split without the right to pause');
  });
});
