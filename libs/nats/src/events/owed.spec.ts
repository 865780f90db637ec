import { Owed } from './owed.js';

describe('events that were given back', () => {
  it('are owed until they are delivered, or their time is over', () => {
    const owed = new Owed();
    owed.add(7, 100, 0);
    owed.add(5, 200, 0);
    owed.add(9, 300, 0);
    expect(owed.first).toBe(5);
    owed.delivered(5);
    expect(owed.first).toBe(7);
    owed.forgetDelivered(150);
    expect(owed.first).toBe(9);
    owed.forgetDelivered(301);
    expect([owed.first, owed.size]).toEqual([undefined, 0]);
  });

  it('are at most a thousand; the first of more is owed as long as the last', () => {
    const owed = new Owed();
    for (let i = 0; i < 200_000; i++) owed.add(10 + i, 1000 + i, 0);
    expect(owed.size).toBeLessThanOrEqual(1024);
    expect(owed.first).toBe(10);
    owed.forgetDelivered(100_000);
    expect(owed.first).toBe(10);
    owed.forgetDelivered(1e9);
    expect(owed.first).toBeUndefined();
  });
});
