import { RetryShare } from './retry-share.js';

function holding(held: number): RetryShare {
  const retries = new RetryShare();
  for (let i = 0; i < held; i++) retries.take();
  return retries;
}

describe('the share of commands that come again', () => {
  it.each([
    ['has room below half of the places', 4, 10, 1, false],
    ['is full at half of the places', 5, 10, 1, true],
    ['has no limit while no new command waits', 10, 10, 0, false],
    ['has room for one where there is one place', 0, 1, 1, false],
    ['is full with one where there is one place', 1, 1, 1, true],
  ])('%s', (_, held, places, pending, full) => {
    expect(holding(held).isFull(places, pending)).toBe(full);
  });

  it('has room again when one is released', () => {
    const retries = holding(5);
    retries.release();
    expect(retries.isFull(10, 1)).toBe(false);
  });
});

describe('a deferred command', () => {
  it.each([
    ['comes back after a tenth of a second', [], 1, 100],
    ['waits for those before it at a hundred a second', [], 3, 120],
    ['waits less where more settle', [100], 11, 110],
    ['waits by the best rate of late', [100, 0, 0], 11, 110.04],
    ['waits for half a minute at most', [], 4000, 30_000],
  ])('%s', (_, settled: readonly number[], count, waitMs) => {
    const retries = new RetryShare();
    for (const inTick of settled) retries.tick(inTick);
    let deferredMs = 0;
    for (let i = 0; i < count; i++) deferredMs = retries.defer(50_000);
    expect(deferredMs).toBeCloseTo(waitMs, 1);
  });

  it.each([
    ['twice as many as were deferred in the last tick', 10, 1, 20],
    ['at most the limit', 1000, 1, 256],
    ['none in the tick after', 10, 2, 0],
  ])('lets the lane ask for others: %s', (_, deferred, ticks, allowance) => {
    const retries = new RetryShare();
    for (let i = 0; i < deferred; i++) retries.defer(0);
    for (let i = 0; i < ticks; i++) retries.tick(0);
    expect(retries.skipAllowance).toBe(allowance);
  });
});
