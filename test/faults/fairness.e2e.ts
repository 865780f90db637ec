import type { LoopstackClient } from '@loopstack/client';
import { setInterval as every } from 'node:timers/promises';
import { Rig, WORKSPACE, held, scaled, until } from '../rig/rig.js';

const options = { lease: '10s', concurrency: 16 } as const;
/** More retries come due than a few slots can make. */
const poisoned = { lease: '10s', concurrency: scaled(8, 2), retry: { attempts: 3, delay: scaled(10_000, 4000), factor: 1 } } as const;

const quantile = (list: readonly number[], q: number): number =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(q * list.length))] ?? Number.NaN;

describe('fairness', () => {
  const rig = Rig.use('each', {
    workflows: [
      { workspace: WORKSPACE, name: 'Poisoned', options: poisoned },
      { workspace: WORKSPACE, name: 'Healthy', options },
      { workspace: 'Other', name: 'Healthy', options },
    ],
  });
  let client: LoopstackClient;
  beforeEach(async () => {
    await rig.worker();
    client = await rig.producer({ publishTimeout: '60s' });
    // The first run of each pays for what is loaded and compiled.
    for (const [workflow, workspace] of [
      ['Poisoned', WORKSPACE],
      ['Healthy', WORKSPACE],
      ['Healthy', 'Other'],
    ] as const) {
      await client.run(workflow, workspace, {}, 'u1');
    }
    await rig.settled();
  });

  /** Starts runs one after another, and gives the time from each call to its effect. */
  async function probe(
    targets: readonly (readonly [workflow: string, workspace: string])[],
    count: number,
    everyMs: number,
  ): Promise<number[][]> {
    const called = new Map<string, number>();
    const ids: string[][] = targets.map(() => []);
    let left = count;
    for await (const _ of every(everyMs)) {
      for (const [i, [workflow, workspace]] of targets.entries()) {
        const at = Date.now();
        const { id } = await client.run(workflow, workspace, { note: 'probe' }, 'u1');
        rig.acked.push(id);
        called.set(id, at);
        ids[i]?.push(id);
      }
      if (--left === 0) break;
    }
    const effects = (): Map<string, number> => new Map(rig.journal.entries.filter((e) => e.kind === 'effect').map((e) => [e.run, e.at]));
    await until('the probes have run', () => [...called.keys()].every((id) => effects().has(id)), 60_000);
    const done = effects();
    return ids.map((list) => list.map((id) => (done.get(id) ?? 0) - (called.get(id) ?? 0)));
  }

  it('ten thousand poison messages delay no healthy run', async () => {
    const count = scaled(10_000, 1000);
    const poison = await Promise.all(Array.from({ length: count }, () => client.run('Poisoned', WORKSPACE, { do: 'throw' }, 'u1')));
    const tried = (): number =>
      rig.journal.entries.filter(({ kind, attempt, workflow }) => kind === 'start' && attempt === 1 && workflow === 'Poisoned').length;
    await until('each has failed once: what is due is retries', () => tried() > count, scaled(300_000, 60_000));
    const [beside, among] = (await probe(
      [
        ['Healthy', WORKSPACE],
        ['Poisoned', WORKSPACE],
      ],
      scaled(200, 50),
      100,
    )) as [number[], number[]];
    await rig.settled(scaled(300_000, 60_000));
    const balance = await rig.balance([...rig.acked, ...poison.map(({ id }) => id)]);
    expect(balance).toMatchObject({ dead: count, lost: [], duplicates: 0, twiceEnded: [] });
    expect(quantile(beside, 0.99)).toBeLessThan(2000);
    // They wait for their turn among the retries, not for the end of them: that takes more than twice as long.
    expect(quantile(among, 0.99)).toBeLessThan(5000);
    held(`${count} poison messages with delayed retries`, balance, {
      'healthy beside p99': `${quantile(beside, 0.99)} ms`,
      'healthy among p99': `${quantile(among, 0.99)} ms`,
    });
  });

  it('p99 stays under two seconds beside a flood', async () => {
    const count = scaled(50_000, 5000);
    const flood = Promise.all(Array.from({ length: count }, () => client.run('Healthy', WORKSPACE, { do: 'slow', ms: 5 }, 'u1')));
    const [other] = (await probe([['Healthy', 'Other']], scaled(60, 12), scaled(1000, 250))) as [number[]];
    const ids = (await flood).map(({ id }) => id);
    await rig.settled(scaled(300_000, 60_000));
    const balance = await rig.balance([...rig.acked, ...ids]);
    expect(balance).toMatchObject({ dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    expect(quantile(other, 0.99)).toBeLessThan(2000);
    held(`flood of ${count} in another workspace`, balance, { 'runs of the other p99': `${quantile(other, 0.99)} ms` });
  });
});
