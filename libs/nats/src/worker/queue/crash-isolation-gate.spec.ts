import { jest } from '@jest/globals';
import { CrashIsolationGate, type Turn } from './crash-isolation-gate.js';

class Someone {
  turn: Turn | undefined;
  told = 0;
  constructor(readonly strict = false) {}

  async joined(): Promise<void> {
    this.told++;
  }

  async enter(gate: CrashIsolationGate): Promise<void> {
    this.turn = await gate.enter(this);
  }
}

const WITHIN_MS = 1000;

describe('the gate of suspects', () => {
  let gate: CrashIsolationGate;
  beforeEach(() => {
    jest.useFakeTimers();
    gate = new CrashIsolationGate(WITHIN_MS, () => Date.now());
  });
  afterEach(() => jest.useRealTimers());

  function enter(count: number, strict = false): Someone[] {
    const all = Array.from({ length: count }, () => new Someone(strict));
    for (const one of all) void one.enter(gate);
    return all;
  }

  it('lets one pass after the other when they end, and none beside another', async () => {
    const all = enter(3);
    await jest.advanceTimersByTimeAsync(0);
    for (const [i, one] of all.entries()) {
      expect(all.map(({ turn }) => turn !== undefined)).toEqual(all.map((_, j) => j <= i));
      expect(one.turn?.beside).toBe(false);
      one.turn?.leave();
      await jest.advanceTimersByTimeAsync(0);
    }
    expect(all.map(({ told }) => told)).toEqual([0, 0, 0]);
  });

  it.each([1, 2, 10, 50])('lets %i that wait behind one that does not end begin in time, one after the other', async (count) => {
    const all = enter(count + 1);
    await jest.advanceTimersByTimeAsync(WITHIN_MS / count / 2);
    expect(all.filter(({ turn }) => turn)).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(WITHIN_MS / 2 - 1);
    expect(all.filter(({ turn }) => turn).length).toBeLessThanOrEqual(count / 2 + 2);
    await jest.advanceTimersByTimeAsync(WITHIN_MS / 2 + 1);
    expect(all.filter(({ turn }) => turn)).toHaveLength(count + 1);
  });

  it('tells those that run before another one begins beside them', async () => {
    const [first, second] = enter(2) as [Someone, Someone];
    await jest.advanceTimersByTimeAsync(WITHIN_MS);
    expect([first.told, second.turn?.beside]).toEqual([1, true]);
    first.turn?.leave();
    const [third] = enter(1) as [Someone];
    second.turn?.leave();
    await jest.advanceTimersByTimeAsync(0);
    expect(third.turn?.beside).toBe(false);
  });

  it('leaves a strict one alone for as long as it takes, from before its start', async () => {
    const [first] = enter(1) as [Someone];
    const [strict] = enter(1, true) as [Someone];
    await jest.advanceTimersByTimeAsync(5 * WITHIN_MS);
    expect(strict.turn).toBeUndefined();
    first.turn?.leave();
    await jest.advanceTimersByTimeAsync(0);
    expect(strict.turn?.beside).toBe(false);
    const [last] = enter(1) as [Someone];
    await jest.advanceTimersByTimeAsync(5 * WITHIN_MS);
    expect(last.turn).toBeUndefined();
    strict.turn?.leave();
    await jest.advanceTimersByTimeAsync(0);
    expect(last.turn?.beside).toBe(false);
  });
});
