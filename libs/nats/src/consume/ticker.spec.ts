import { jest } from '@jest/globals';
import { Ticker, type TickListener } from './ticker.js';

const HEARTBEAT_MS = 1000;

/** A ticker whose server answers when it is told to, and whose timers fire while `pass` passes time, but not while `block` does. */
function ticking() {
  let nowMs = 50_000;
  let answer = (): void => undefined;
  let asked = 0;
  const answered = (): Promise<void> => {
    asked++;
    return new Promise((resolve) => (answer = resolve));
  };
  const ticker = new Ticker(HEARTBEAT_MS, answered, () => nowMs);
  const late: boolean[] = [];
  const listener: TickListener = { tick: (_, isLate) => void late.push(isLate) };
  ticker.add(listener);
  return {
    ticker,
    listener,
    late,
    asked: () => asked,
    now: () => nowMs,
    pass: (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 10) {
        nowMs += 10;
        jest.advanceTimersByTime(10);
      }
    },
    block: (ms: number): void => void (nowMs += ms),
    answers: async (): Promise<void> => {
      answer();
      await jest.advanceTimersByTimeAsync(0);
    },
  };
}

describe('the clock of all consumers', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('ticks ten times a second while something listens', () => {
    const { ticker, listener, late, pass } = ticking();
    pass(1000);
    expect(late).toEqual(Array.from({ length: 10 }, () => false));
    ticker.remove(listener);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('goes on for those that still listen', () => {
    const { ticker, listener, pass } = ticking();
    let ticks = 0;
    ticker.add({ tick: () => void ticks++ });
    ticker.remove(listener);
    pass(300);
    expect(ticks).toBe(3);
    expect(jest.getTimerCount()).toBe(1);
  });

  it.each([
    ['within a heartbeat', 900, false],
    ['longer than a heartbeat', 1100, true],
  ])('is late after a block: %s', (_, ms, isLate) => {
    const { late, block, pass } = ticking();
    block(ms);
    pass(100);
    expect(late).toEqual([isLate]);
  });

  it('takes what arrives in time for sent just now', () => {
    const { ticker, pass, asked, now } = ticking();
    pass(250);
    expect(ticker.onItsWaySince(now())).toBe(now());
    expect(asked()).toBe(0);
  });

  it('takes what arrives after a block for as old as it until the server answers', async () => {
    const { ticker, block, pass, asked, answers, now } = ticking();
    pass(200);
    const before = now();
    block(5000);
    expect(ticker.onItsWaySince(now())).toBe(before);
    pass(500);
    expect(ticker.onItsWaySince(now())).toBe(before);
    expect(asked()).toBe(1);
    await answers();
    expect(ticker.onItsWaySince(now())).toBe(now());
  });

  it('forgets a block with the connection', () => {
    const { ticker, block, pass, now } = ticking();
    block(5000);
    ticker.onItsWaySince(now());
    pass(100);
    ticker.reconnected();
    expect(ticker.onItsWaySince(now())).toBe(now());
  });
});
