import type { DeadLetter } from './dead-letter.js';
import type { LoopstackError } from '../error.js';
import type { RunEvent, RunEventType } from './event.js';
import { HEADER } from './header.js';
import { RedriveDecision, redriveHeaders } from './redrive.js';

const LETTER: DeadLetter = {
  workspace: 'W',
  workflow: 'F',
  deadSequence: 7,
  reason: 'failed',
  code: 'HANDLER_FAILED',
  message: 'boom',
  attempts: 3,
  runId: 'r-1',
  stream: 'RUNS',
  sequence: 3,
  subject: 'loopstack.run.W.F',
  time: '2026-01-31T00:00:00.000Z',
  headers: { [HEADER.MSG_ID]: 'old', [HEADER.SIGNATURE]: 's', [HEADER.SIGNER]: 'k', 'X-A': 'a' },
  body: new Uint8Array(),
  redriven: 1,
};

const event = (type: RunEventType, redriveOf?: number): RunEvent => ({
  type,
  at: '2026-01-31T00:00:00.000Z',
  attempt: 1,
  ...(redriveOf === undefined ? {} : { redriveOf }),
});

describe('a redrive', () => {
  it('sends the headers of the command without those of server and signer', () => {
    expect({ ...redriveHeaders(LETTER, 'DEAD') }).toEqual({
      'X-A': 'a',
      [HEADER.RUN_ID]: 'r-1',
      [HEADER.REDRIVEN]: '2',
      [HEADER.MSG_ID]: 'redrive:DEAD:7',
    });
  });

  it.each<[string, readonly RunEvent[], string]>([
    ['has failed', [event('started'), event('failed')], 'reopen'],
    ['has no events any more', [], 'reopen'],
    ['was reopened and not sent', [event('failed'), event('queued', 7)], 'opened'],
    ['was reopened for another letter, and failed', [event('failed'), event('queued', 6), event('failed')], 'reopen'],
    ['was redriven and goes on', [event('failed'), event('queued', 7), event('started')], 'done'],
    ['was redriven and failed again', [event('failed'), event('queued', 7), event('failed')], 'done'],
    ['has succeeded since', [event('failed'), event('queued', 6), event('succeeded')], 'RUN_NOT_FAILED'],
    ['runs', [event('started')], 'RUN_NOT_FAILED'],
  ])('of a run that %s', (_, history, expected) => {
    const decision = new RedriveDecision(LETTER);
    for (const one of history) decision.seen(one);
    const decided = (): string => {
      try {
        return decision.decide();
      } catch (error) {
        return (error as LoopstackError).code;
      }
    };
    expect(decided()).toBe(expected);
  });
});
