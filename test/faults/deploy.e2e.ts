import { HEADER, type RunEvent } from '@loopstack/shared';
import { WORKSPACE, Rig, held, scaled, until } from '../rig/rig.js';
import type { WorkerProcess } from '../rig/worker-process.js';
import type { PlannedFields, PlannedWorkflow } from '../rig/worker/program.js';

type Release = 'old' | 'new';
type Payload = Readonly<Record<string, unknown>>;

/** What one workflow is in two releases, and what their producers send: with the releases that can do it. */
interface Change {
  readonly name: string;
  readonly old: PlannedFields | undefined;
  readonly new: PlannedFields | undefined;
  readonly sent: Readonly<Record<Release, Payload>>;
  readonly doneBy: Readonly<Record<Release, readonly Release[]>>;
}

/** Runs that are under way while releases change: what is refused waits beside what is not. */
const IN_FLIGHT = 60;

const BOTH = ['old', 'new'] as const;
const CHANGES: readonly Change[] = [
  {
    name: 'AddedOptional',
    old: { amount: 'int' },
    new: { amount: 'int', note: 'string?' },
    sent: { old: { amount: 1 }, new: { amount: 1, note: 'n' } },
    doneBy: { old: BOTH, new: ['new'] },
  },
  {
    name: 'AddedRequired',
    old: { amount: 'int' },
    new: { amount: 'int', note: 'string' },
    sent: { old: { amount: 1 }, new: { amount: 1, note: 'n' } },
    doneBy: { old: ['old'], new: ['new'] },
  },
  {
    name: 'Removed',
    old: { amount: 'int', note: 'string?' },
    new: { amount: 'int' },
    sent: { old: { amount: 1, note: 'n' }, new: { amount: 1 } },
    doneBy: { old: ['old'], new: BOTH },
  },
  {
    name: 'Retyped',
    old: { amount: 'int' },
    new: { amount: 'string' },
    sent: { old: { amount: 1 }, new: { amount: '1' } },
    doneBy: { old: ['old'], new: ['new'] },
  },
  {
    name: 'Nested',
    old: { address: { zip: 'string' } },
    new: { address: { zip: 'string', city: 'string' } },
    sent: { old: { address: { zip: '1' } }, new: { address: { zip: '1', city: 'Bonn' } } },
    doneBy: { old: ['old'], new: ['new'] },
  },
  {
    name: 'Typed',
    old: undefined,
    new: { amount: 'int' },
    sent: { old: { whatever: 1 }, new: { amount: 1 } },
    doneBy: { old: ['old'], new: BOTH },
  },
];

const flows = (release: Release, changes = CHANGES, options: PlannedWorkflow['options'] = {}): PlannedWorkflow[] =>
  changes.map((change) => {
    const payload = change[release];
    return { workspace: WORKSPACE, name: change.name, options: { lease: '10s', ...options }, ...(payload ? { payload } : {}) };
  });

interface Sent {
  readonly id: string;
  readonly change: Change;
  readonly shape: Release;
}

async function send(rig: Rig, shape: Release, changes = CHANGES): Promise<Sent[]> {
  return Promise.all(
    changes.map(async (change) => ({ id: (await rig.run({ workflow: change.name, job: change.sent[shape] })).id, change, shape })),
  );
}

/** Runs that another release than one that can do them has executed, or that nobody has. */
function wronglyDone(rig: Rig, sent: readonly Sent[], pids: Readonly<Record<Release, number>>): string[] {
  return sent.flatMap(({ id, change, shape }) => {
    const effects = rig.journal.of(id).filter(({ kind }) => kind === 'effect');
    const right = change.doneBy[shape].map((release) => pids[release]);
    const done = effects.length === 1 && right.includes(effects[0]?.pid ?? 0);
    return done ? [] : [`${change.name} of the ${shape} release: effects by ${effects.map(({ pid }) => pid).join(' and ') || 'nobody'}`];
  });
}

const refusals = (events: readonly RunEvent[] = []): readonly RunEvent[] => events.filter(({ refusal }) => refusal !== undefined);

describe('two releases side by side', () => {
  const rig = Rig.use('each');

  it.each<[string, readonly [Release, Release]]>([
    ['rolled out', ['old', 'new']],
    ['rolled back', ['new', 'old']],
  ])('both releases run what the other refuses while one is %s', async (_, [first, second]) => {
    const sent: Sent[] = [];
    const workers = new Map<Release, WorkerProcess>([[first, await rig.worker({}, flows(first))]]);
    let rolling = true;
    const load = (async () => {
      // Producers of the first release never stop, those of the second one begin with its worker.
      while (rolling) {
        sent.push(...(await send(rig, first)));
        if (workers.has(second)) sent.push(...(await send(rig, second)));
        // As fast as runs are executed, and no faster.
        await until('some are executed', () => sent.length - rig.journal.effects().size < IN_FLIGHT, 60_000);
      }
    })();
    await until('there is load', () => sent.length > 0);
    workers.set(second, await rig.worker({}, flows(second)));
    const before = sent.length;
    await until('both have had load', () => sent.length > before + scaled(6000, 300), 90_000);
    rolling = false;
    await load;
    await rig.settled(60_000);
    const pids = { old: workers.get('old')?.pid ?? 0, new: workers.get('new')?.pid ?? 0 };
    expect((await rig.deadLetters()).map((letter) => `${letter.subject}: ${letter.header(HEADER.DEAD_MESSAGE)}`)).toEqual([]);
    expect(wronglyDone(rig, sent, pids)).toEqual([]);
    const events = await rig.events();
    const ended = sent.map(({ id }) => events.get(id)?.at(-1));
    expect(ended.filter((event) => event?.type !== 'succeeded' || event.attempt !== 1)).toEqual([]);
    const given = sent.filter(({ id }) => refusals(events.get(id)).length > 0);
    expect(given.length).toBeGreaterThan(0);
    const most = Math.max(...given.map(({ id }) => refusals(events.get(id)).length));
    held(`deploy ${first} to ${second}`, await rig.balance(), { 'given back': given.length, 'at most times': most });
  });
});
