import { Rig, STREAMS, WORKSPACE, held, until } from '../rig/rig.js';
import type { HealthResult } from '@loopstack/nats';
import type { PlannedWorkflow } from '../rig/worker/program.js';
import type { WorkerProcess } from '../rig/worker-process.js';

const job = (priorities: boolean): readonly PlannedWorkflow[] => [{ workspace: WORKSPACE, name: 'Job', options: { priorities } }];

describe('paused durables', () => {
  const rig = Rig.use('each');

  const HOUR_MS = 3_600_000;
  const pause = (ms: number): Promise<unknown> => {
    const body = ms > 0 ? { pause_until: new Date(Date.now() + ms).toISOString() } : {};
    return rig.nc.request(`$JS.API.CONSUMER.PAUSE.${STREAMS.runs}.Rig~Job`, JSON.stringify(body));
  };
  const isPaused = async (): Promise<boolean> => (await rig.consumer()).paused === true;
  const ready = async (worker: WorkerProcess) => (await worker.ask<HealthResult<'loopstack'>>('ready')).loopstack;
  const TOLD = /WARN .*Consumer Rig~Job is paused until .*: its messages wait.*: nats consumer resume LOOPSTACK_RUNS Rig~Job/;

  it('log and green readiness report a paused durable', async () => {
    await rig.worker();
    await pause(HOUR_MS);
    const worker = await rig.worker({ stalledAfter: '1ms' });
    expect(worker.log()).toMatch(TOLD);
    const run = await rig.run();
    await until('readiness counts it', async () => ((await ready(worker))['busy'] as unknown[]).length === 1);
    expect(await ready(worker)).toMatchObject({
      status: 'up',
      busy: [{ workflow: 'Job', queued: 1 }],
      paused: [{ workspace: WORKSPACE, workflow: 'Job', until: expect.stringMatching(/^\d{4}-/) }],
    });
    expect(rig.journal.of(run.id)).toEqual([]);
    await pause(0);
    await rig.settled();
    await until('readiness says no more of it', async () => !('paused' in (await ready(worker))));
    expect(worker.log()).toMatch(/Consumer Rig~Job is no longer paused/);
    held('durable paused by hand', await rig.balance());
  });

  it('running workers report a durable paused later', async () => {
    const worker = await rig.worker();
    await pause(HOUR_MS);
    await until('the worker tells', async () => 'paused' in (await ready(worker)));
    expect(worker.log()).toMatch(TOLD);
  });

  it('a paused durable is split only after resuming', async () => {
    const first = await rig.worker({}, job(false));
    await first.kill('SIGTERM');
    await pause(HOUR_MS);
    const waiting = await rig.run({}, { priority: 'high' });
    const young = await rig.worker({}, job(true));
    expect(young.log()).toMatch(/Rig\.Job is paused: it gets queues for priorities from the first worker that starts when it is resumed/);
    expect(await isPaused()).toBe(true);
    expect((await rig.consumer()).config.filter_subjects).toHaveLength(3);
    expect(rig.journal.of(waiting.id)).toEqual([]);
    await pause(0);
    await rig.settled();
    await rig.worker({}, job(true));
    await rig.runs(3);
    await rig.settled();
    expect((await rig.consumer()).config).toMatchObject({ filter_subject: 'loopstack.run.Rig.Job' });
    const balance = await rig.balance();
    expect(balance).toMatchObject({ executed: 4, lost: [], duplicates: 0 });
    held('paused by hand, priorities given', balance);
  });
});
