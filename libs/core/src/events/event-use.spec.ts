import { LoopstackError, encodeRunCommand } from '@loopstack/shared';
import { readEvent, settleEvent, type EventOutcome, type EventPolicy, type EventReading } from './event-use.js';

const error = new LoopstackError('HANDLER_FAILED', { workflow: 'w', reason: 'r' });
const retry = { attempts: 3, delayMs: 1000, factor: 2, maxDelayMs: 300_000, jitter: 0 };
const DEAD: EventPolicy = { retry, afterwards: 'dead' };
const ABANDON: EventPolicy = { retry, afterwards: 'abandon' };

const done: EventOutcome = { kind: 'done' };
const invalid: EventOutcome = { kind: 'invalid', error };
const failed: EventOutcome = { kind: 'failed', error };
const unavailable: EventOutcome = { kind: 'unavailable', error };

describe('settleEvent', () => {
  it.each([
    [done, 1, DEAD, { action: 'ack' }],
    [done, 9, ABANDON, { action: 'ack' }],
    [invalid, 1, DEAD, { action: 'dead', reason: 'invalid', error }],
    [invalid, 1, ABANDON, { action: 'abandon', error }],
    [failed, 1, DEAD, { action: 'retry', delayMs: 1000, error }],
    [failed, 2, DEAD, { action: 'retry', delayMs: 2000, error }],
    [failed, 3, DEAD, { action: 'dead', reason: 'failed', error }],
    [failed, 7, DEAD, { action: 'dead', reason: 'failed', error }],
    [failed, 2, ABANDON, { action: 'retry', delayMs: 2000, error }],
    [failed, 3, ABANDON, { action: 'abandon', error }],
    // Never given up, and never waited for long.
    [unavailable, 1, ABANDON, { action: 'retry', delayMs: 1000, error }],
    [unavailable, 3, DEAD, { action: 'retry', delayMs: 4000, error }],
    [unavailable, 1_000_000, DEAD, { action: 'retry', delayMs: 30_000, error }],
  ] as const)('%# $kind', (outcome, delivery, policy, settlement) => {
    expect(settleEvent(outcome, delivery, policy, 0.5)).toEqual(settlement);
  });
});

/** The run that an event comes to. */
const start = (payload: unknown, userId = 'u'): object => ({ kind: 'start', command: encodeRunCommand({ payload, userId }), userId });

describe('readEvent', () => {
  const target = { workspace: 'W', workflow: 'F', validator: undefined };
  const made = (reason: string, cause: unknown): LoopstackError =>
    new LoopstackError('EVENT_INVALID', { stream: 's', sequence: 1, binding: 'b', reason }, { cause });
  const read = (given: Partial<EventReading>, validator?: { validate: () => never | { ok: boolean; errors: never[] } }) =>
    readEvent(
      { wanted: () => true, payload: () => ({ a: 1 }), userId: () => 'u', ...given },
      { ...target, validator: validator as never },
      64,
      made,
    );
  const throwing = (): never => {
    throw new TypeError('no field a');
  };

  it('makes a run of it', async () => {
    expect(await read({})).toEqual(start({ a: 1 }));
    expect(await read({ wanted: async () => true, payload: async () => 7, userId: async () => 'v' })).toEqual(start(7, 'v'));
  });

  it('skips what is not wanted, without reading further', async () => {
    expect(await read({ wanted: () => false, payload: throwing })).toEqual({ kind: 'skip' });
    expect(await read({ wanted: async () => false, payload: throwing })).toEqual({ kind: 'skip' });
  });

  it.each(['wanted', 'payload', 'userId'] as const)('takes what %s throws for the reason', async (part) => {
    const use = await read({ [part]: throwing });
    expect(use).toMatchObject({ kind: 'invalid', error: { code: 'EVENT_INVALID', details: { reason: 'TypeError: no field a' } } });
  });

  it('keeps an error of ours as it is', async () => {
    const own = new LoopstackError('BODY_NOT_JSON', { reason: 'it is empty' });
    const use = await read({
      wanted: () => {
        throw own;
      },
    });
    expect(use).toEqual({ kind: 'invalid', error: own });
  });

  it.each([undefined, null, '', 7, 'x'.repeat(257)])('needs a user: %j', async (userId) => {
    expect(await read({ userId: () => userId })).toMatchObject({ kind: 'invalid', error: { code: 'USER_MISSING' } });
  });

  it('needs a payload that is JSON and that the workflow accepts', async () => {
    const refusing = { validate: () => ({ ok: false, errors: [] as never[] }) };
    expect(await read({}, refusing)).toMatchObject({ kind: 'invalid', error: { code: 'PAYLOAD_INVALID' } });
    const accepting = { validate: () => ({ ok: true, errors: [] as never[] }) };
    expect(await read({ payload: () => 10n }, accepting)).toMatchObject({ kind: 'invalid', error: { code: 'PAYLOAD_UNSERIALIZABLE' } });
  });
});
