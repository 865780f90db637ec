import type { RunEvent } from '@loopstack/shared/contract';
import { hasOutcome } from './run-histories.js';

describe('the outcome of a run', () => {
  const event = (type: RunEvent['type'], fields: Partial<RunEvent> = {}): RunEvent => ({ type, at: '', attempt: 1, ...fields });
  it.each<[string, Parameters<typeof hasOutcome>, boolean]>([
    ['is that of its last event', ['failed', event('failed'), 5, false], true],
    ['is no other', ['failed', event('succeeded'), 5, false], false],
    ['is none before there is an event', ['failed', undefined, 5, false], false],
    ['belongs to the command that recorded it', ['failed', event('failed', { sequence: 9 }), 5, false], false],
    ['never-ran: no event, not queued', ['never-ran', undefined, 5, false], true],
    ['never-ran: it waits', ['never-ran', undefined, 5, true], false],
    ['never-ran: expired before its first attempt', ['never-ran', event('expired', { attempt: 0 }), 5, false], true],
    ['never-ran: canceled in an attempt', ['never-ran', event('canceled'), 5, false], false],
  ])('%s', (_, args, expected) => {
    expect(hasOutcome(...args)).toBe(expected);
  });
});
