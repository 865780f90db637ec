import type { DeadLetter, RunInfo } from '@loopstack/shared/contract';
import { until } from '../until.js';
import { CliRig } from './rig.js';

const rig = CliRig.use('all');
beforeAll(async () => {
  await rig.worker();
});

/** Three letters: two that failed, one that was refused. */
let letters: DeadLetter[];
beforeAll(async () => {
  for (const args of [['act=fail'], ['act=fail'], ['priority=high']])
    await rig.loopstack('run', 'Orders.ProcessOrder', '--no-check', '-u', 'u1', '-a', 'orderId=o-1', ...args.flatMap((arg) => ['-a', arg]));
  letters = await until('three dead letters', async () => {
    const found = await rig.json<DeadLetter[]>(['dead', 'list']);
    return found.length === 3 ? found : undefined;
  });
});

describe('loopstack dead', () => {
  it('list chooses by reason, workflow and time', async () => {
    expect(await rig.json(['dead', 'list', '--reason', 'failed', '--workflow', 'ProcessOrder', '--since', '1h'])).toHaveLength(2);
    expect(await rig.json(['dead', 'list', '--since', '2100-01-01'])).toEqual([]);
    const { stdout } = await rig.loopstack('dead', 'list', '--reason', 'invalid');
    expect(stdout).toMatch(/^LETTER +WORKFLOW +REASON/);
    expect(stdout).toMatch(/^3 +Orders\.ProcessOrder +invalid +1/m);
  });

  it('show tells why, and what the command was', async () => {
    const letter = await rig.json<DeadLetter & { body: string }>(['dead', 'show', '3']);
    expect(letter).toMatchObject({
      deadSequence: 3,
      reason: 'invalid',
      errors: expect.arrayContaining([expect.objectContaining({ path: 'priority' })]),
    });
    expect(JSON.parse(letter.body)).toMatchObject({ userId: 'u1', payload: { priority: 'high' } });
    const { stdout } = await rig.loopstack('dead', 'show', '3');
    expect(stdout).toMatch(/^reason +invalid {2}PAYLOAD_INVALID$/m);
    expect(stdout).toContain('"priority": "high"');
    expect((await rig.loopstack('dead', 'show', '4711')).stderr).toContain('There is no dead letter 4711');
    expect((await rig.loopstack('dead', 'show', 'one')).code).toBe(2);
  });

  it('redrive and discard touch nothing without a choice and a yes', async () => {
    const all = await rig.loopstack('dead', 'discard', '--yes');
    expect(all.code).toBe(2);
    expect(all.stderr).toContain('--all');
    const unasked = await rig.loopstack('dead', 'discard', '--all');
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain('Permanently discard 3 dead letters?');
    expect((await rig.loopstack('dead', 'redrive', '1', '--all', '--yes')).code).toBe(2);
    expect(await rig.json(['dead', 'list'])).toHaveLength(3);
  });

  it('redrive runs them again, and says which it could not', async () => {
    const [first] = letters as [DeadLetter];
    const done = await rig.loopstack('dead', 'redrive', '1', '4711', '--yes', '--json');
    expect(done.code).toBe(3);
    expect(JSON.parse(done.stdout)).toEqual({
      done: [1],
      failed: [{ deadSequence: 4711, code: 'DEAD_LETTER_UNKNOWN', reason: expect.stringContaining('4711') }],
    });
    // It fails again: the same run, a new letter.
    const again = await until('it is dead again', async () => (await rig.json<DeadLetter[]>(['dead', 'list', '--run', first.runId]))[0]);
    expect(again).toMatchObject({ runId: first.runId, redriven: 1 });
    expect(again.deadSequence).toBeGreaterThan(3);
    expect(await rig.json<RunInfo>(['runs', 'show', first.runId])).toMatchObject({ status: 'failed' });
  });

  it('discard removes them', async () => {
    const { code, stdout } = await rig.loopstack('dead', 'discard', '--reason', 'invalid', '--yes');
    expect(code).toBe(0);
    expect(stdout).toBe('1 dead letter discarded\n');
    expect((await rig.json<DeadLetter[]>(['dead', 'list'])).map(({ reason }) => reason)).toEqual(['failed', 'failed']);
    expect((await rig.loopstack('dead', 'discard', '--all', '--yes')).stdout).toBe('2 dead letters discarded\n');
    expect((await rig.loopstack('dead', 'discard', '--all', '--yes')).stdout).toBe('no dead letters\n');
    expect((await rig.loopstack('dead', 'list')).stdout).toBe('no dead letters\n');
  });
});
