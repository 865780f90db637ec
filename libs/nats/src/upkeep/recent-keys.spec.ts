import { RecentKeys } from './recent-keys.js';

describe('keys that were added lately', () => {
  it('are known until their time', () => {
    const keys = new RecentKeys(10);
    keys.add('a', 100);
    expect([keys.has('a', 99), keys.has('b', 0), keys.has('a', 100), keys.size]).toEqual([true, false, false, 0]);
  });

  it('are no more than allowed: the oldest are forgotten', () => {
    const keys = new RecentKeys(1000);
    for (let i = 0; i < 100_000; i++) keys.add(`k${i}`, i);
    keys.add('k99000', 100_000);
    keys.add('new', 100_001);
    expect(keys.size).toBe(1000);
    expect([keys.has('k98999', 0), keys.has('k99000', 0), keys.has('k99001', 0), keys.has('new', 0)]).toEqual([false, true, false, true]);
  });
});
