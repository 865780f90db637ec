import { LoopstackError } from '@loopstack/shared';
import { resolveRetry, retryDelayMs, settle, type Outcome, type Settlement } from './settle.js';

const policy = resolveRetry('retry', { attempts: 3, delay: '1s', factor: 2, maxDelay: '5s', jitter: 0 });
const error = new LoopstackError('HANDLER_FAILED', { workflow: 'Job', reason: 'boom' });

describe('what becomes of a message', () => {
  const failed = (retryable: boolean): Outcome => ({ kind: 'failed', error, retryable });
  const table: readonly (readonly [name: string, outcome: Outcome, attempt: number, settlement: Settlement])[] = [
    ['a success is recorded with its result', { kind: 'succeeded', json: '1' }, 1, { action: 'succeed', json: '1' }],
    ['a failure is tried again', failed(true), 1, { action: 'retry', delayMs: 1000, error }],
    ['the second failure waits longer', failed(true), 2, { action: 'retry', delayMs: 2000, error }],
    ['the last failure is a dead letter', failed(true), 3, { action: 'dead', reason: 'failed', error }],
    [
      'a failure beyond the last attempt (the policy has become shorter) is one, too',
      failed(true),
      9,
      { action: 'dead', reason: 'failed', error },
    ],
    ['a failure that would be the same again is a dead letter at once', failed(false), 1, { action: 'dead', reason: 'failed', error }],
    ['a timeout is tried again', { kind: 'timeout', error }, 2, { action: 'retry', delayMs: 2000, error }],
    ['the last timeout is a dead letter', { kind: 'timeout', error }, 3, { action: 'dead', reason: 'timeout', error }],
    ['what is invalid is never tried again', { kind: 'invalid', error }, 1, { action: 'dead', reason: 'invalid', error }],
    ['what is not trusted neither', { kind: 'untrusted', error }, 1, { action: 'dead', reason: 'untrusted', error }],
    ['a worker that died in the last attempt', { kind: 'worker-died', error }, 3, { action: 'dead', reason: 'worker-died', error }],
    ['a run that is too late has expired', { kind: 'expired', error }, 1, { action: 'expire', error }],
    ['a canceled run is acknowledged: whoever canceled it has recorded that', { kind: 'canceled' }, 1, { action: 'ack' }],
    ['a run whose outcome stands is acknowledged', { kind: 'already-settled' }, 2, { action: 'ack' }],
    ['a shutdown gives the run back', { kind: 'shutdown' }, 1, { action: 'return' }],
    ['a lost lease leaves the message to who has it', { kind: 'lease-lost' }, 1, { action: 'drop' }],
  ];

  it.each(table)('%s', (_, outcome, attempt, settlement) => {
    expect(settle(outcome, attempt, policy, 0.5)).toEqual(settlement);
  });
});

describe('the wait before the next attempt', () => {
  it.each([
    [1, 1000],
    [2, 2000],
    [3, 4000],
    [4, 5000],
    [1000, 5000],
    [1_000_000, 5000],
  ])('after attempt %i is %i ms: doubled, up to the cap', (attempt, ms) => {
    expect(retryDelayMs(policy, attempt, 0.5)).toBe(ms);
  });

  it('moves by the jitter, up and down, and not beyond the cap', () => {
    const jittered = { ...policy, jitter: 0.1 };
    expect(retryDelayMs(jittered, 1, 0)).toBe(900);
    expect(retryDelayMs(jittered, 1, 0.5)).toBe(1000);
    expect(retryDelayMs(jittered, 1, 0.999_999)).toBe(1100);
    expect(retryDelayMs(jittered, 4, 0.999_999)).toBe(5000);
    expect(retryDelayMs(jittered, 4, 0)).toBe(4500);
  });

  it('stays within a fifth of the policy for every attempt and every random number', () => {
    const given = resolveRetry('retry', {});
    for (let attempt = 1; attempt <= 20; attempt++) {
      const nominal = Math.min(given.delayMs * given.factor ** (attempt - 1), given.maxDelayMs);
      for (let random = 0; random < 1; random += 0.05) {
        const ms = retryDelayMs(given, attempt, random);
        expect(Math.abs(ms - nominal)).toBeLessThanOrEqual(nominal / 5);
        expect(ms).toBeLessThanOrEqual(given.maxDelayMs);
      }
    }
  });
});

describe('the retry options', () => {
  it('have defaults', () => {
    expect(resolveRetry('retry')).toEqual({ attempts: 3, delayMs: 1000, factor: 2, maxDelayMs: 300_000, jitter: 0.1 });
  });

  it.each([
    ['attempts', { attempts: 0 }],
    ['attempts', { attempts: 1.5 }],
    ['attempts', { attempts: Number.NaN }],
    ['attempts', { attempts: '3' as never }],
    ['delay', { delay: '1 second' as never }],
    ['delay', { delay: -1 }],
    ['factor', { factor: 0.5 }],
    ['maxDelay', { maxDelay: '5min' as never }],
    ['jitter', { jitter: 2 }],
  ])('name %s when it is refused', (option, given) => {
    expect(() => resolveRetry('Job.retry', given)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining(`Job.retry.${option}`) }),
    );
  });
});
