import { MAX_PREFETCH, Prefetch } from './prefetch.js';

describe('commands taken ahead of free slots', () => {
  it.each([
    ['none before any has settled', [], 0],
    ['twice as many as were settled in the last tick', [10], 20],
    ['more at once when more settle', [10, 40], 80],
    ['half as many with each tick without any', [40, 0, 0], 20],
    ['half of before where few settle', [40, 1], 40],
    ['none after a while without any', [8, 0, 0, 0, 0, 0], 0],
    ['at most the limit', [10_000], MAX_PREFETCH],
  ])('are %s', (_, settled: readonly number[], size) => {
    const prefetch = new Prefetch();
    for (const count of settled) prefetch.tick(count);
    expect(prefetch.size).toBe(size);
  });
});
