import type { LoopstackError } from '@loopstack/shared';
import { Rig, STREAMS, WORKSPACE, held, scaled, until } from '../rig/rig.js';

const LIMIT = scaled(10_000, 500);

describe('a full runs stream', () => {
  const rig = Rig.use('each', {
    workflows: [{ workspace: WORKSPACE, name: 'Job', options: { concurrency: 16 } }],
    nats: { runs: { maxMessages: LIMIT, keepExecuted: '1s', deduplication: '1s' } },
  });

  const publish = (): Promise<string> =>
    rig.run().then(
      () => 'stored',
      (error: LoopstackError) => error.code,
    );

  it('a full stream refuses publishes and drops nothing queued', async () => {
    const gate = rig.gate();
    const worker = await rig.worker();
    // Sixteen hold the slots, and everything behind them is queued.
    await rig.runs(16, { job: { do: 'hold', gate: gate.path } });
    const codes = new Map<string, number>();
    for (const code of await Promise.all(Array.from({ length: LIMIT + 200 }, publish))) codes.set(code, (codes.get(code) ?? 0) + 1);
    expect(Object.fromEntries(codes)).toEqual({ stored: LIMIT - 16, STREAM_FULL: 216 });
    expect((await rig.jsm.streams.info(STREAMS.runs)).state).toMatchObject({ messages: LIMIT, first_seq: 1 });
    // The keeper trims what is older than a second and executed: nothing of this is.
    await until('the keeper has looked more than once', () => Date.now() - (rig.journal.entries[0]?.at ?? Date.now()) > 3000);
    expect((await rig.jsm.streams.info(STREAMS.runs)).state).toMatchObject({ messages: LIMIT, first_seq: 1 });
    expect(await publish()).toBe('STREAM_FULL');

    await gate.open();
    await rig.settled();
    await until('executed commands are trimmed', async () => (await rig.jsm.streams.info(STREAMS.runs)).state.messages === 0);
    expect(await publish()).toBe('stored');
    await rig.settled();
    expect((await worker.ready()).up).toBe(true);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: LIMIT + 1, executed: LIMIT + 1, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('full stream', balance, { refused: 217 });
  });

  it('trimming keeps every unsettled command', async () => {
    const gate = rig.gate();
    await rig.worker();
    const slow = await rig.run({ job: { do: 'hold', gate: gate.path } });
    await rig.journal.started(slow.id);
    await rig.runs(50);
    await until('the others have run', () => rig.journal.effects().size === 50);
    await until('the keeper has looked more than once', () => Date.now() - (rig.journal.entries.at(-1)?.at ?? Date.now()) > 3000);
    const { state } = await rig.jsm.streams.info(STREAMS.runs, { subjects_filter: '>' });
    expect(state.first_seq).toBe(1);
    await gate.open();
    await rig.settled();
    await until('executed commands are trimmed', async () => (await rig.jsm.streams.info(STREAMS.runs)).state.messages === 0);
    const balance = await rig.balance();
    expect(balance).toMatchObject({ acked: 51, executed: 51, dead: 0, lost: [], duplicates: 0, twiceEnded: [] });
    held('retention keeper', balance);
  });
});
