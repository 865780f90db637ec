import { until, Rig, WORKSPACE, held, scaled } from '../rig/rig.js';

const STREAM = 'LOOPSTACK_SCHEDULES';

describe('the stream of schedules', () => {
  const rig = Rig.use('each');

  it('the schedules stream keeps only what is needed', async () => {
    await rig.worker({ runs: { keepExecuted: '1s' } });
    const producer = await rig.producer();
    await producer.schedule('steady', { every: '1s' }, 'Job', WORKSPACE, {}, 'u1');
    const later = await rig.run({}, { delay: '1h' });
    const count = scaled(10_000, 1000);
    for (let i = 0; i < count; i += 250) await Promise.all(Array.from({ length: 250 }, () => rig.run({}, { delay: '1s' })));
    const { num_subjects: before } = (await rig.jsm.streams.info(STREAM)).state;
    expect(before).toBeGreaterThan(2);
    const left = async (): Promise<number> => (await rig.jsm.streams.info(STREAM)).state.messages;
    // The schedule, what is due in an hour, the last command that fired, and what has fired since the last look.
    await until('what has fired is gone', async () => (await left()) <= 10, 60_000);
    await rig.settled();
    const effects = rig.journal.effects();
    const delayed = rig.acked.filter((id) => id !== later.id);
    expect(delayed.filter((id) => effects.get(id) !== 1)).toEqual([]);
    expect(await later.status()).toMatchObject({ status: 'queued' });
    expect(await producer.schedules.list()).toHaveLength(1);
    held(`schedules kept (${count})`, { left: await left() });
  });
});
