import { Backlog } from './backlog.js';

describe('commands that wait on the server', () => {
  it.each([
    ['known to be none just after the server was asked', 0, 1000, true],
    ['asked for again after half a minute', 0, 31_000, false],
    ['not known to be none where some wait', 3, 1000, false],
  ])('are %s', (_, pending, nowMs, known) => {
    const backlog = new Backlog();
    backlog.counted(pending, 500);
    expect(backlog.isKnownEmpty(nowMs)).toBe(known);
  });

  it('are those behind the last delivery', () => {
    const backlog = new Backlog();
    backlog.counted(0, 500);
    backlog.delivered(7);
    expect([backlog.pending, backlog.isKnownEmpty(600)]).toEqual([7, false]);
  });
});
