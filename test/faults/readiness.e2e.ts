import type { HealthResult } from '@loopstack/nats';
import { Rig, STREAMS, WORKSPACE, until } from '../rig/rig.js';

interface Busy {
  readonly workflow: string;
  readonly active: number;
  readonly queued: number;
  readonly oldestQueuedMs?: number;
}

describe('readiness', () => {
  const rig = Rig.use('each', {
    workflows: [{ workspace: WORKSPACE, name: 'Job', options: { concurrency: 1 } }],
    nats: { stalledAfter: '1s' },
  });

  it('readiness reports queue length and oldest age', async () => {
    const gate = rig.gate();
    const worker = await rig.worker();
    const running = await rig.run({ job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(running.id);
    const beforeMs = Date.now();
    await rig.runs(5);
    const afterMs = Date.now();
    const job = await until('the age is known', async () => {
      const { loopstack } = await worker.ask<HealthResult<'loopstack'>>('ready');
      const [busy] = loopstack['busy'] as readonly Busy[];
      return busy?.queued === 5 && busy.oldestQueuedMs !== undefined ? busy : undefined;
    });
    expect(job).toMatchObject({ workflow: 'Job', active: 1, queued: 5 });
    expect(job.oldestQueuedMs).toBeGreaterThanOrEqual(0);
    expect(job.oldestQueuedMs).toBeLessThanOrEqual(Date.now() - beforeMs);
    const later = await until('it has aged', async () => {
      const { loopstack } = await worker.ask<HealthResult<'loopstack'>>('ready');
      const [busy] = loopstack['busy'] as readonly Busy[];
      return busy!.oldestQueuedMs! > 1000 ? busy : undefined;
    });
    expect(later.oldestQueuedMs).toBeGreaterThanOrEqual(1000 - (afterMs - beforeMs));
    await gate.open();
    await rig.settled();
    const { loopstack } = await worker.ask<HealthResult<'loopstack'>>('ready');
    expect(loopstack).toMatchObject({ status: 'up', busy: [] });
  });

  it('readiness recovers after a purge', async () => {
    const gate = rig.gate();
    const worker = await rig.worker();
    const [running] = await rig.runs(20, { job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(running!.id);
    await rig.jsm.streams.purge(STREAMS.runs);
    await gate.open();
    await until('nothing is active or held', async () => (await rig.consumer()).num_ack_pending === 0);
    // Past the time after which a workflow that has something queued counts as stalled.
    const endedMs = Date.now();
    await until('the time of a stall has passed', () => Date.now() - endedMs > 1500);
    const { loopstack } = await worker.ask<HealthResult<'loopstack'>>('ready');
    expect(loopstack).toMatchObject({ status: 'up', busy: [] });
  });
});
