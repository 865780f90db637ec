import type { RunEvent } from '@loopstack/shared';
import { examine, recordsStart, type Examination } from './attempt.js';
import { resolveRetry } from './settle.js';

const SEQUENCE = 7;
const policy = resolveRetry('retry', { attempts: 3 });
const once = resolveRetry('retry', { attempts: 1 });

const event = (type: RunEvent['type'], attempt: number, more: Partial<RunEvent> = {}): RunEvent => ({
  type,
  at: '2026-01-01T00:00:00.000Z',
  attempt,
  sequence: SEQUENCE,
  ...more,
});
const refusal = { count: 1, waitedMs: 250, by: ['old'] };
const run = (attempt: number, begun = false, alone = false): Examination => ({ action: 'run', attempt, alone, begun });

describe('a command that may have a history', () => {
  const table: readonly (readonly [name: string, deliveries: number, last: RunEvent | undefined, decision: Examination])[] = [
    ['first delivery, nothing recorded', 1, undefined, run(1)],
    ['delivered again, nothing recorded: one attempt died, whoever knows how many deliveries there were', 2, undefined, run(2)],
    ['and again', 9, undefined, run(2)],
    ['its attempt was started and died', 2, event('started', 2), run(3, true, true)],
    ['it died while it told of its progress', 2, event('progress', 1), run(2, true)],
    ['the last attempt was started and died', 3, event('started', 3), { action: 'died', attempt: 3 }],
    [
      'the last attempt died with others beside it: once more, strictly alone',
      4,
      event('started', 3, { beside: true }),
      { action: 'run', attempt: 3, alone: true, begun: true, strict: true },
    ],
    [
      'and so where it told of its progress',
      4,
      event('progress', 3, { beside: true }),
      { action: 'run', attempt: 3, alone: true, begun: true, strict: true },
    ],
    ['an attempt before the last one died beside others: the next one', 3, event('started', 2, { beside: true }), run(3, true, true)],
    ['its attempt failed and said so', 2, event('retrying', 1), run(2, true)],
    ['the last attempt is next, and the one before said how it failed: no suspect', 3, event('retrying', 2), run(3, true)],
    ['claimed by its key, then delivered again: one attempt died', 2, event('queued', 0), run(2)],
    ['claimed by its key and not started', 1, event('queued', 0), run(1)],
    ['given back by a worker that stopped, before it was started', 2, event('queued', 0, { deliveries: 1 }), run(1)],
    ['given back in its second attempt: that one does not count', 3, event('queued', 1, { deliveries: 2 }), run(2, true)],
    ['given back before it was started, and then one died', 3, event('queued', 0, { deliveries: 1 }), run(2)],
    ['it has succeeded', 2, event('succeeded', 1), { action: 'already-settled', failed: false }],
    ['it was canceled', 1, event('canceled', 1), { action: 'already-settled', failed: false }],
    ['it has expired', 2, event('expired', 0), { action: 'already-settled', failed: false }],
    ['it has failed: its dead letter may be missing', 2, event('failed', 3), { action: 'already-settled', failed: true }],
    ['another command holds its key', 1, event('queued', 0, { sequence: 6 }), { action: 'already-settled', failed: false }],
    ['another command runs under its key', 1, event('started', 2, { sequence: 6 }), { action: 'already-settled', failed: false }],
    ['a redrive has opened it again, naming no command', 1, { ...event('queued', 0), sequence: undefined as never }, run(1)],
    ['this release has fewer attempts than the one that announced the next one', 5, event('retrying', 5), run(6, true)],
    ['this release has fewer attempts, and the last one was started and died', 5, event('started', 5), { action: 'died', attempt: 3 }],
    ['this release has fewer attempts, and one was given back', 9, event('queued', 4, { deliveries: 1 }), run(5, true)],
    ['refused by another release, and then delivered more than once', 9, event('queued', 0, { deliveries: 1, refusal }), run(1)],
    ['refused by another release in a later attempt', 9, event('queued', 1, { deliveries: 1, refusal }), run(2, true)],
  ];

  it.each(table)('%s', (_, deliveries, last, decision) => {
    expect(examine(deliveries, SEQUENCE, last, policy)).toEqual(decision);
  });

  it('of a single attempt that was started is not run again', () => {
    expect(examine(2, SEQUENCE, event('started', 1), once)).toEqual({ action: 'died', attempt: 1 });
  });

  it('of a single attempt that was not started is run', () => {
    expect(examine(2, SEQUENCE, undefined, once)).toEqual(run(1));
  });
});

describe('the start of an attempt', () => {
  it.each([
    [1, 3, false],
    [2, 3, true],
    [1, 1, true],
  ])('%i of %i is recorded: %s', (attempt, attempts, recorded) => {
    expect(recordsStart(attempt, resolveRetry('retry', { attempts }))).toBe(recorded);
  });

  it('is recorded after a refusal', () => {
    expect(recordsStart(1, policy, event('queued', 0, { refusal }))).toBe(true);
  });
});
