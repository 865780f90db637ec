import { Window } from './window.js';

const TIMEOUT_TICKS = 100;

/** A server that works off `perTick` messages in each tick, and callers that are always more than the window takes. */
function simulate(window: Window, perTick: (tick: number) => number, ticks: number, visit: (tick: number, age: number) => void): void {
  const inFlight: number[] = [];
  for (let tick = 0; tick < ticks; tick++) {
    let acknowledged = 0;
    // Within a tick, a place that becomes free is taken at once.
    for (; acknowledged < perTick(tick); acknowledged++) {
      while (inFlight.length < window.size) inFlight.push(tick);
      visit(tick, tick - (inFlight.shift() as number));
    }
    window.tick(acknowledged, true);
  }
}

describe('the window', () => {
  it('grows to its limit for a fast server', () => {
    const window = new Window(4096, TIMEOUT_TICKS);
    simulate(
      window,
      () => 5000,
      5,
      () => {},
    );
    expect(window.size).toBe(4096);
  });

  it('stays as it is where nobody waits for it', () => {
    const window = new Window(4096, TIMEOUT_TICKS);
    for (let i = 0; i < 100; i++) window.tick(0, false);
    expect(window.size).toBe(256);
  });

  it.each([4, 10, 50, 200, 5000])('keeps the wait in flight below the timeout for a server of %i a tick', (perTick) => {
    let longest = 0;
    simulate(
      new Window(4096, TIMEOUT_TICKS),
      () => perTick,
      1000,
      (_, age) => (longest = Math.max(longest, age)),
    );
    expect(longest).toBeLessThan(TIMEOUT_TICKS);
  });

  it('follows a server that becomes slow, and one that recovers from a standstill', () => {
    const window = new Window(4096, TIMEOUT_TICKS);
    const sizes: number[] = [];
    const rate = (tick: number): number => (tick < 100 ? 1000 : tick < 150 ? 0 : tick < 300 ? 20 : 1000);
    simulate(window, rate, 400, (tick) => (sizes[tick] = window.size));
    expect([sizes[99], sizes[299], sizes[399]]).toEqual([4096, expect.closeTo(400, -2), 4096]);
  });

  it('never exceeds what it was given, nor falls below what it needs to go on', () => {
    const small = new Window(10, TIMEOUT_TICKS);
    for (let i = 0; i < 100; i++) small.tick(i < 50 ? 0 : 10_000, true);
    expect(small.size).toBe(10);
    const large = new Window(4096, TIMEOUT_TICKS);
    for (let i = 0; i < 100; i++) large.tick(0, true);
    expect(large.size).toBe(64);
  });
});
