import type { LoopstackError } from '../error.js';
import type { RunEvent, RunEventType, RunInfo } from '../message/event.js';
import { cancellation, infoOf, resultOf } from './run-info.js';

const AT = '2026-01-31T00:00:00.000Z';
const event = (type: RunEventType, more: Partial<RunEvent> = {}): RunEvent => ({ type, at: AT, attempt: 2, sequence: 5, ...more });
const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return (error as LoopstackError).code;
  }
};

describe('an outcome', () => {
  it.each<[RunEvent, string]>([
    [event('failed'), 'RUN_FAILED'],
    [event('canceled'), 'RUN_CANCELED'],
    [event('expired'), 'RUN_EXPIRED'],
  ])('of %j is thrown', (outcome, code) => {
    expect(codeOf(() => resultOf('r', outcome))).toBe(code);
  });

  it('of success is the result', () => {
    expect(resultOf('r', event('succeeded', { result: { n: 1 } }))).toEqual({ n: 1 });
  });
});

describe('a cancel', () => {
  const info = (last: RunEvent): RunInfo => infoOf('r', { workspace: 'W', workflow: 'F', event: last });

  it('records how far the run was, and its key', () => {
    const last = event('retrying', { content: 'c' });
    expect(cancellation(info(last), last, AT)).toEqual({ type: 'canceled', at: AT, attempt: 2, sequence: 5, content: 'c' });
  });

  it('of a delayed run knows no command, but its user', () => {
    const delayed: RunInfo = { workspace: 'W', workflow: 'F', id: 'r', status: 'queued', attempt: 0 };
    expect(cancellation(delayed, undefined, AT)).toEqual({ type: 'canceled', at: AT, attempt: 0 });
    expect(cancellation({ ...delayed, userId: 'u1' }, undefined, AT)).toEqual({ type: 'canceled', at: AT, attempt: 0, userId: 'u1' });
  });

  it('is done already, or too late', () => {
    const canceled = event('canceled');
    expect(cancellation(info(canceled), canceled, AT)).toBeUndefined();
    const succeeded = event('succeeded');
    expect(codeOf(() => cancellation(info(succeeded), succeeded, AT))).toBe('RUN_FINISHED');
  });
});
