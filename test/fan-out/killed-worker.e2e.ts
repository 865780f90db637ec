import { HEADER, isOutcome } from '@loopstack/shared';
import { readStream } from '../rig/measure.js';
import { Rig, STREAMS, until, WORKSPACE } from '../rig/rig.js';
import { unsettledOf } from '../unsettled.js';
import type { PlannedWorkflow } from '../rig/worker/program.js';

const EVENTS = 150;

/** Each event is the job that its run does. */
const FLOWS = ['A', 'B', 'C', 'D', 'E'].map((name): PlannedWorkflow => ({
  workspace: WORKSPACE,
  name,
  options: {
    lease: '1s',
    concurrency: 8,
    retry: { attempts: 5, delay: '50ms' },
    on: [{ subject: 'jobs.*', userId: 'u1', from: 'all' }],
  },
}));

describe('a worker that is killed in the middle of a fan-out', () => {
  const rig = Rig.use('all', { workflows: FLOWS });
  beforeAll(async () => {
    await rig.jsm.streams.add({ name: 'JOBS', subjects: ['jobs.*'] });
  });

  it('leaves one run for each event and workflow, each with one outcome, and nothing undone', async () => {
    const first = await rig.worker();
    await rig.worker();
    const js = rig.nc.jetstream();
    const body = JSON.stringify({ do: 'slow', ms: 5 });
    const published = Promise.all(Array.from({ length: EVENTS }, () => js.publish('jobs.x', body)));
    await until('a third is done', () => rig.journal.effects().size >= (EVENTS * FLOWS.length) / 3, 60_000);
    await first.kill();
    await published;
    await rig.worker();

    // Deliveries that the dead process held come back after their lease of half a minute.
    await until('every event has started its runs', async () => (await unsettledOf(rig.jsm, 'JOBS')) === 0, 90_000);
    await rig.settled(60_000);

    const commands = await readStream(rig.nc, STREAMS.runs);
    const keys = commands.map(({ subject, header }) => `${subject} ${header(HEADER.EVENT)}`);
    expect(new Set(keys).size).toBe(EVENTS * FLOWS.length);
    expect(keys).toHaveLength(EVENTS * FLOWS.length);
    expect(new Set(commands.map(({ header }) => header(HEADER.RUN_ID))).size).toBe(EVENTS * FLOWS.length);
    expect(await outcomes(rig)).toEqual(Array(EVENTS * FLOWS.length).fill(1));
    expect(rig.journal.effects().size).toBe(EVENTS * FLOWS.length);
    expect(await rig.deadLetters()).toHaveLength(0);
    // Only what the dead process was in the middle of has started twice.
    const again = [...rig.journal.effects().values()].filter((count) => count > 1).length;
    expect(again).toBeLessThanOrEqual(FLOWS.length * 8);
  });
});

/** Number of outcomes of each run. */
async function outcomes(rig: Rig): Promise<number[]> {
  return [...(await rig.events()).values()].map((events) => events.filter(({ type }) => isOutcome(type)).length);
}
