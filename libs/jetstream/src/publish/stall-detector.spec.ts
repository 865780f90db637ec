import { StallDetector } from './stall-detector.js';

describe('the stall detector', () => {
  it('knows the message written last of those that were acknowledged', () => {
    const stall = new StallDetector();
    stall.acknowledged(7, 3);
    stall.acknowledged(5, 4);
    expect([stall.lastToken, stall.acknowledgedAt]).toEqual([7, 4]);
  });

  it.each([
    ['an acknowledgement', (stall: StallDetector): void => stall.acknowledged(1, 10)],
    ['a refusal', (stall: StallDetector): void => stall.refused(10)],
    ['a new connection', (stall: StallDetector): void => stall.restarted(10)],
  ])('sees the queue move with %s, until the tick after', (_, settle) => {
    const stall = new StallDetector();
    settle(stall);
    expect([10, 11, 12].map((tick) => stall.moves(tick))).toEqual([true, true, false]);
  });

  it.each([
    ['nothing moved for its timeout', 20, 5, 106, false],
    ['nothing moved for longer than its timeout', 20, 5, 121, true],
    ['it has not waited that long', 20, 80, 121, false],
  ])('ends a message in the queue only if %s', (_, movedAt, queuedAt, tick, expected) => {
    const stall = new StallDetector();
    stall.refused(movedAt);
    expect(stall.hasStalled({ queuedAt, timeoutMs: 5000 }, tick)).toBe(expected);
  });

  /** A message of 1 s that is written at a tick times out at this one. */
  const timedOut = (writtenAt: number): { deadline: number; timeoutMs: number } => ({ deadline: writtenAt + 21, timeoutMs: 1000 });

  it('takes a server for cut off after 5 s of timeouts, and once in 5 s', () => {
    const stall = new StallDetector();
    stall.acknowledged(1, 10);
    const told = [31, 60, 110, 111, 112, 150, 210, 211].filter((tick) => stall.isCutOff(timedOut(10), tick));
    expect(told).toEqual([111, 211]);
  });

  it('counts from the writing of the first message that timed out, not from the last answer', () => {
    const stall = new StallDetector();
    stall.acknowledged(1, 10);
    expect([521, 599, 600].map((tick) => stall.isCutOff(timedOut(500), tick))).toEqual([false, false, true]);
  });

  it('counts anew after an acknowledgement', () => {
    const stall = new StallDetector();
    expect(stall.isCutOff(timedOut(1), 22)).toBe(false);
    stall.acknowledged(2, 90);
    expect([111, 190, 191].map((tick) => stall.isCutOff(timedOut(90), tick))).toEqual([false, false, true]);
  });
});
