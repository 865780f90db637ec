import { HEADER, wireNames } from '@loopstack/shared';
import { Rig, WORKSPACE, held, scaled, until } from '../rig/rig.js';

const names = wireNames();

/** Commands for workflows that no worker has. */
describe('names that no worker serves', () => {
  const rig = Rig.use('each');

  const waiting = async (): Promise<number> =>
    Object.keys((await rig.jsm.streams.info(names.streams.runs, { subjects_filter: 'loopstack.run.Made.*' })).state.subjects ?? {}).length;
  const told = (log: string): readonly string[] => log.split('\n').filter((line) => /Made\.|ever served/.test(line));

  it('a thousand unserved names wait, others become dead letters', async () => {
    const first = await rig.worker();
    const producer = await rig.producer();
    const count = scaled(20_000, 2500);
    const address = (i: number): string => `Up${i}`;
    const { accepted } = await producer.runMany(
      Array.from({ length: count }, (_, i) => ({ workspace: 'Made', workflow: address(i), payload: {}, userId: 'u1' })),
    );
    expect(accepted).toBe(count);
    // Neighbors go on meanwhile.
    await rig.runs(20);
    await until('a thousand are left', async () => (await waiting()) <= 1000, scaled(600_000, 100_000));
    await until('each of the others has its letter', async () => (await rig.deadLetters()).length >= count - 1000, 30_000);
    expect(await waiting()).toBe(1000);
    const letters = (await rig.deadLetters()).filter((letter) => letter.header(HEADER.DEAD_REASON) === 'unroutable');
    expect(new Set(letters.map(({ subject }) => subject)).size).toBe(count - 1000);
    // Its run has failed: whoever waits for it is told.
    const [{ subject, header }] = letters as [(typeof letters)[number]];
    const [, , workspace = '', workflow = ''] = subject.split('.');
    const handle = await producer.get(header(HEADER.RUN_ID) as string, { workspace, workflow });
    expect(handle).toMatchObject({ status: 'failed', error: { code: 'WORKFLOW_UNSERVED' } });
    const second = await rig.worker();
    await until('another worker tells of them', () => told(second.log()).length > 0);
    await rig.settled();
    for (const worker of [first, second]) {
      expect(told(worker.log()).length).toBeLessThanOrEqual(6);
      expect(worker.log().length).toBeLessThan(20_000);
    }
    expect((await first.ready()).up).toBe(true);
    held(`unserved names (${count})`, await rig.balance(), { letters: letters.length, lines: told(first.log()).length });
  });

  it('unserved commands expire into dead letters and can be redriven', async () => {
    await rig.worker({ runs: { unservedAfter: '8s' } });
    const old = await rig.run({ workspace: WORKSPACE, workflow: 'Late' });
    const canceled = await rig.run({ workspace: WORKSPACE, workflow: 'Late' });
    const producer = await rig.producer();
    await producer.cancel(canceled.id, { workspace: WORKSPACE, workflow: 'Late' });
    await until('the old one is a dead letter', async () => (await rig.deadLetters()).length === 1, 30_000);
    const young = await rig.run({ workspace: WORKSPACE, workflow: 'Late' });
    await until('its command, and the canceled one, are gone', async () => {
      const { state } = await rig.jsm.streams.info(names.streams.runs, {
        subjects_filter: names.run({ workspace: WORKSPACE, workflow: 'Late' }),
      });
      return Object.values(state.subjects ?? {}).join() === '1';
    });
    const [letter] = await rig.deadLetters();
    expect(letter?.header(HEADER.RUN_ID)).toBe(old.id);
    expect((await rig.eventsOf(canceled.id)).map(({ type }) => type)).toEqual(['canceled']);
    await expect(old.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    // The worker comes at last.
    await rig.worker({}, [{ workspace: WORKSPACE, name: 'Late' }]);
    await young.result({ timeout: '20s' });
    expect(await rig.deadLetters()).toHaveLength(1);
  });
});
