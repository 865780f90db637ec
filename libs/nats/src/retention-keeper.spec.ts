import { keepFrom } from './retention-keeper.js';

describe('the first sequence that retention keeps', () => {
  it.each<readonly [string, number, number | undefined, number]>([
    ['nothing is acknowledged: everything stays', 0, undefined, 1],
    ['all is acknowledged and old: everything up to the floor goes', 10, undefined, 11],
    ['some is younger than the time to keep: it stays', 10, 4, 4],
    ['what is not acknowledged stays, however old it is', 3, 8, 4],
    ['what is young begins right behind the floor', 3, 4, 4],
  ])('%s', (_, ackFloor, firstYoung, expected) => {
    expect(keepFrom(ackFloor, firstYoung)).toBe(expected);
  });
});
