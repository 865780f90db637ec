import { Rig, WORKSPACE, held, scaled } from '../rig/rig.js';

/** Nominal waits after the first, second, third and fourth attempt: doubled, and capped. */
const NOMINAL_MS = [1000, 2000, 3000, 3000];

describe('retry delays', () => {
  const rig = Rig.use('each', {
    workflows: [
      {
        workspace: WORKSPACE,
        name: 'Job',
        options: { retry: { attempts: 5, delay: '1s', factor: 2, maxDelay: '3s', jitter: 0.1 }, concurrency: 200 },
      },
    ],
  });

  it('retry delays follow the policy and its cap', async () => {
    await rig.worker();
    const runs = await rig.runs(scaled(500, 50), { job: { do: 'throw' } });
    await rig.settled();
    const events = await rig.events();
    const planned: number[][] = NOMINAL_MS.map(() => []);
    const waited: number[][] = NOMINAL_MS.map(() => []);
    for (const { id } of runs) {
      const retrying = (events.get(id) ?? []).filter(({ type }) => type === 'retrying');
      const starts = rig.journal.of(id).filter(({ kind }) => kind === 'start');
      expect(starts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
      for (const [i, event] of retrying.entries()) {
        planned[i]?.push(Date.parse(event.nextAttemptAt ?? '') - Date.parse(event.at));
        waited[i]?.push((starts[i + 1]?.at ?? Number.NaN) - Date.parse(event.at));
      }
    }
    const spread = (list: number[] = []): string => `${Math.min(...list)}-${Math.max(...list)} ms`;
    process.stdout.write(`${planned.map(spread).join(' ')} | ${waited.map(spread).join(' ')}\n`);
    for (const [i, nominal] of NOMINAL_MS.entries()) {
      // Uniform between a tenth less and a tenth more; above the cap, the cap. A fifth is for what comes between plan and start.
      for (const [run, ms] of (planned[i] ?? []).entries()) {
        expect(Math.abs(ms - nominal)).toBeLessThanOrEqual(nominal / 10 + 1);
        expect(Math.abs((waited[i]?.[run] ?? Number.NaN) - ms)).toBeLessThanOrEqual(ms / 5);
      }
      expect(new Set(planned[i]).size).toBeGreaterThan(runs.length / 4);
      expect(Math.max(...(planned[i] ?? []))).toBeLessThanOrEqual(3000);
    }
    expect(Math.min(...(planned[0] ?? []))).toBeLessThan(960);
    expect(Math.max(...(planned[0] ?? []))).toBeGreaterThan(1040);
    held('retry delays', await rig.balance(), Object.fromEntries(waited.map((list, i) => [`wait ${i + 1}`, spread(list)])));
  });
});
