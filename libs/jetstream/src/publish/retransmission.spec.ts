import { unavailable } from './publish-errors.js';
import { deadlineAt, isDue, mayRetry, resendAt } from './retransmission.js';

describe('the time of a message that is written', () => {
  it.each([
    [5000, 7, 108],
    [5001, 7, 109],
    [10, 0, 2],
  ])('of %i ms at tick %i is over at tick %i', (timeoutMs, tick, expected) => {
    expect(deadlineAt(timeoutMs, tick)).toBe(expected);
  });

  it.each([
    ['without an id: never', false, 5000, 0],
    ['half its timeout later', true, 1000, 110],
    ['after 2.5 s at the latest', true, 60_000, 150],
  ])('leads to another writing %s', (_, resendable, timeoutMs, expected) => {
    expect(resendAt({ resendable, timeoutMs }, 100)).toBe(expected);
  });
});

describe('a message without an answer', () => {
  const refusedOnce = unavailable('a.b', 'no responders');

  it.each([
    ['later ones were answered', { token: 4, lastToken: 5, acknowledgedAt: 99, resendAt: 100, refused: false }, true],
    ['no message was answered for 50 ticks', { token: 6, lastToken: 5, acknowledgedAt: 50, resendAt: 100, refused: false }, true],
    ['no server took it', { token: 6, lastToken: 5, acknowledgedAt: 99, resendAt: 100, refused: true }, true],
    ['the server only is slow', { token: 6, lastToken: 5, acknowledgedAt: 99, resendAt: 100, refused: false }, false],
    ['it is too early', { token: 4, lastToken: 5, acknowledgedAt: 99, resendAt: 101, refused: true }, false],
    ['it must not be written twice', { token: 4, lastToken: 5, acknowledgedAt: 50, resendAt: 0, refused: false }, false],
  ])('is due where %s', (_, { token, lastToken, acknowledgedAt, resendAt: at, refused }, expected) => {
    const pending = { resendAt: at, unavailable: refused ? refusedOnce : undefined };
    expect(isDue(token, pending, { lastToken, acknowledgedAt }, 100)).toBe(expected);
  });
});

describe('a message that no server took', () => {
  const plain = { resendable: true, maybeStored: false, written: 1 };

  it.each([
    ['has an id, for the first time', plain, false, false, true],
    ['has an id, for the third time', { ...plain, written: 3 }, false, false, false],
    ['has an id, where a stream has acknowledged before', { ...plain, written: 30 }, true, false, true],
    ['may be stored already', { ...plain, written: 30, maybeStored: true }, false, false, true],
    ['has no id', { ...plain, resendable: false }, true, false, false],
    ['has no id, and no server saw it', { ...plain, resendable: false }, true, true, true],
  ])('is written again or not: it %s', (_, pending, proven, unseen, expected) => {
    expect(mayRetry(pending, proven, unseen)).toBe(expected);
  });
});
