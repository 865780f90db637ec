import { Answers } from './answers.js';
import { IDEMPOTENT, Pending, WRITTEN_ONCE, groupOf, type Handling } from './queue/pending.js';
import { StallDetector } from './stall-detector.js';

const TICK = 10;
const RECEIVER = { acknowledged: (): undefined => undefined };

function message(handling: Handling, written: number): Pending {
  const pending = new Pending('a.b', new Uint8Array(1), undefined, 5000, RECEIVER);
  pending.handling = handling;
  pending.written = written;
  return pending;
}

const refusal = (code: number, errCode: number): Uint8Array => Buffer.from(JSON.stringify({ error: { code, err_code: errCode } }));
const NONE = new Uint8Array(0);
const NO_LEADER = refusal(503, 10008);
const IN_PROCESS = refusal(400, 10158);
const ACK = Buffer.from('{"stream":"S", "seq":4}');

describe('an answer to a message', () => {
  it.each([
    ['no responders, at first', message(IDEMPOTENT, 1), NONE, undefined],
    ['no responders, for the third time', message(IDEMPOTENT, 3), NONE, 'PUBLISH_UNAVAILABLE'],
    ['no responders, to one without an id that no server saw', message(WRITTEN_ONCE, 1), NONE, undefined],
    ['a cluster without a leader', message(IDEMPOTENT, 1), NO_LEADER, undefined],
    ['a cluster without a leader, to one without an id', message(WRITTEN_ONCE, 1), NO_LEADER, 'PUBLISH_UNAVAILABLE'],
    ['an earlier writing in process', message(IDEMPOTENT, 9), IN_PROCESS, undefined],
    ['a wrong sequence', message(IDEMPOTENT, 1), refusal(400, 10071), 'PUBLISH_REFUSED'],
    ['a full stream', message(IDEMPOTENT, 1), refusal(503, 10047), 'STREAM_FULL'],
    ['something else', message(IDEMPOTENT, 1), Buffer.from('hello'), 'PUBLISH_REFUSED'],
  ])('that is %s is retried, or the error %s', (_, pending, data, code) => {
    const error = new Answers(new StallDetector()).read(pending, data, TICK);
    expect((error as { code?: string } | undefined)?.code).toBe(code);
    // What is retried is written again five ticks later.
    if (code === undefined) expect([pending.resendAt, pending.unavailable?.code]).toEqual([TICK + 5, 'PUBLISH_UNAVAILABLE']);
  });

  it('is waited for without end once a stream has acknowledged', () => {
    const answers = new Answers(new StallDetector());
    expect(answers.read(message(IDEMPOTENT, 1), ACK, TICK)).toEqual({ stream: 'S', sequence: 4, duplicate: false });
    expect(answers.read(message(IDEMPOTENT, 30), NONE, TICK)).toBeUndefined();
  });

  it('is read without an object where it has the form of the one before', () => {
    const answers = new Answers(new StallDetector());
    expect(answers.sequenceIn(ACK)).toBe(0);
    answers.read(message(IDEMPOTENT, 1), ACK, TICK);
    expect([answers.sequenceIn(Buffer.from('{"stream":"S", "seq":51}')), answers.stream]).toEqual([51, 'S']);
    expect(answers.sequenceIn(NO_LEADER)).toBe(0);
  });

  it('is an error for a group that holds two messages in each other’s way', () => {
    const group = groupOf([message(IDEMPOTENT, 1), message(IDEMPOTENT, 1)], () => {});
    expect(new Answers(new StallDetector()).read(group, IN_PROCESS, TICK)).toMatchObject({ code: 'PUBLISH_UNAVAILABLE' });
  });

  it('that refuses counts as a sign of life, one that defers does not', () => {
    const stall = new StallDetector();
    const answers = new Answers(stall);
    answers.read(message(IDEMPOTENT, 1), NO_LEADER, TICK);
    expect(stall.moves(TICK)).toBe(false);
    answers.read(message(IDEMPOTENT, 1), refusal(400, 10071), TICK);
    expect(stall.moves(TICK)).toBe(true);
  });
});
