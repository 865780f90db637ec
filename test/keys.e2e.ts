import { LoopstackClient } from '@loopstack/client';
import { DeadLetters } from '@loopstack/nats';
import { NonRetryableError, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { HEADER, keyedRunId, messageId, sequenceRunId, wireNames, type DeadLetter } from '@loopstack/shared/contract';
import type { INestMicroservice } from '@nestjs/common';
import { headers, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';

const ran: string[] = [];
let mended = false;

@Workflow()
class Pay {
  run({ amount }: { amount: number }, { userId }: RunContext): string {
    ran.push(`${userId} ${amount}`);
    return `${userId} paid ${amount}`;
  }
}

@Workflow()
class Mend {
  run(): string {
    if (!mended) throw new NonRetryableError('not yet');
    return 'done';
  }
}

@Workspace({ workflows: [Pay, Mend] })
class Shop {}

const names = wireNames();
const address = { workspace: 'Shop', workflow: 'Pay' };

describe('keys of other producers', () => {
  const rig = harness();
  let app: INestMicroservice;
  let client: LoopstackClient;
  let nc: NatsConnection;
  let letters: DeadLetters;
  beforeAll(async () => {
    await rig.startServer();
    app = await rig.startApp([Pay, Mend, Shop]);
    letters = app.get(DeadLetters);
    client = await rig.connectClient();
    nc = await rig.connect();
  });

  const store = async (subject: string, body: unknown, more: Record<string, string> = {}): Promise<number> => {
    const given = headers();
    for (const [name, value] of Object.entries(more)) given.set(name, value);
    return (await nc.request(subject, JSON.stringify(body), { headers: given, timeout: 5000 })).json<{ seq: number }>().seq;
  };
  const event = (id: string, amount: number, userid = 'u1'): object => ({
    specversion: '1.0',
    source: '/tills',
    id,
    userid,
    data: { amount },
  });
  const letterOf = (sequence: number): Promise<DeadLetter> =>
    until('its dead letter', async () => (await letters.list({ limit: 1000 })).find((letter) => letter.sequence === sequence));

  it('a conflicting key dead-letters the command only', async () => {
    const subject = names.run(address);
    const runId = keyedRunId('Shop', 'Pay', '/tills\0e1');
    await store(subject, event('e1', 5));
    expect(await client.handle(address, runId).result()).toBe('u1 paid 5');
    const same = await store(subject, event('e1', 5));
    const other = await store(subject, event('e1', 6));
    const user = await store(subject, event('e1', 5, 'u2'));
    for (const [sequence, what] of [
      [other, 'payload'],
      [user, 'user'],
    ] as const) {
      const stored = await (await nc.jetstreamManager()).streams.getMessage(names.streams.runs, { seq: sequence });
      expect(await letterOf(sequence)).toMatchObject({
        reason: 'invalid',
        code: 'KEY_CONFLICT',
        runId: sequenceRunId(stored.time.getTime(), sequence),
        message: `The idempotency key of run ${runId} belongs to another ${what}`,
      });
    }
    expect((await letters.list({ limit: 1000 })).some(({ sequence }) => sequence === same)).toBe(false);
    expect(ran.filter((line) => line.startsWith('u1') || line.startsWith('u2'))).toEqual(['u1 5']);
    expect(await client.get(runId, address)).toMatchObject({ status: 'succeeded', result: 'u1 paid 5' });
    // And a producer of ours learns of it.
    await expect(client.run('Pay', 'Shop', { amount: 7 }, 'u1', { idempotencyKey: '/tills\u00000' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
  });

  it('a delayed run keeps its key', async () => {
    const delayed = await client.run<string>('Pay', 'Shop', { amount: 8 }, 'u8', { idempotencyKey: 'later', delay: '2s' });
    const other = await store(names.run(address), { userId: 'u8', payload: { amount: 9 } }, { [HEADER.RUN_ID]: delayed.id });
    expect(await letterOf(other)).toMatchObject({ code: 'KEY_CONFLICT' });
    expect(await delayed.result()).toBe('u8 paid 8');
    expect(ran.filter((line) => line.startsWith('u8'))).toEqual(['u8 8']);
  });

  it('a guessed message id steals no key', async () => {
    const runId = keyedRunId('Shop', 'Pay', 'guessed');
    await store(
      names.run({ workspace: 'Thief', workflow: 'Pay' }),
      { userId: 't' },
      { [HEADER.MSG_ID]: messageId(address, runId), [HEADER.RUN_ID]: runId },
    );
    const run = await client.run<string>('Pay', 'Shop', { amount: 3 }, 'u3', { idempotencyKey: 'guessed' });
    expect([run.duplicate, await run.result()]).toEqual([false, 'u3 paid 3']);
  });

  it('a taken redrive id does not stop the redrive', async () => {
    const run = await client.run<string>('Mend', 'Shop', {}, 'u4');
    const letter = await letterOf(run.sequence);
    await store(
      names.run({ workspace: 'Thief', workflow: 'Pay' }),
      { userId: 't' },
      { [HEADER.MSG_ID]: `redrive:${names.streams.dead}:${letter.deadSequence}` },
    );
    mended = true;
    expect(await letters.redrive(letter.deadSequence)).toEqual({ done: [letter.deadSequence], failed: [] });
    await until('it has run again', async () => (await run.status()).status === 'succeeded');
    expect(await run.result()).toBe('done');
  });
});
