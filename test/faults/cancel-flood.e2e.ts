import { wireNames } from '@loopstack/shared';
import { Rig, WORKSPACE, held, scaled, until } from '../rig/rig.js';

const names = wireNames();
const JOB = { workspace: WORKSPACE, workflow: 'Job' };

describe('a flood of cancels', () => {
  const rig = Rig.use('each', { workflows: [{ workspace: WORKSPACE, name: 'Job', options: { concurrency: 1, lease: '5s' } }] });

  it('a flood of cancels hides no real cancel', async () => {
    const worker = await rig.worker();
    const { path, open } = rig.gate();
    const holding = await rig.run({ job: { do: 'hold', gate: path } });
    await until('the slot is taken', () => rig.journal.entries.some(({ kind, run }) => kind === 'start' && run === holding.id));
    const queued = await rig.runs(60);
    const producer = await rig.producer();
    const canceled = queued.filter((_, i) => i % 2 === 0);
    for (const { id } of canceled) await producer.cancel(id, JOB);
    const count = scaled(200_000, 25_000);
    for (let i = 0; i < count; i++) rig.nc.publish(names.cancel(JOB, `none-${i}`));
    await rig.nc.flush();
    // A worker that starts now reads them from the stream.
    const second = await rig.worker();
    await open();
    await rig.settled();
    const started = new Set(rig.journal.entries.filter(({ kind }) => kind === 'start').map(({ run }) => run));
    expect(canceled.filter(({ id }) => started.has(id))).toEqual([]);
    expect(queued.filter(({ id }) => started.has(id))).toHaveLength(30);
    for (const one of [worker, second]) expect((await one.ready()).up).toBe(true);
    held(`flood of ${count} cancels`, await rig.balance());
  });
});
