import { Grouping } from './grouping.js';

describe('grouping', () => {
  /** Ticks of 50 ms under load, with a rate of acknowledgements for single messages and one for groups. */
  const run = (grouping: Grouping, ticks: number, inFlight: number, singles: number, groups = singles, busy = 0.4): void => {
    for (let i = 0; i < ticks; i++) {
      if (grouping.on) grouping.acknowledged();
      grouping.tick((grouping.on ? groups : singles) / 20, inFlight, busy);
    }
  };

  it('is tried where messages are slow under load, and kept where it is faster', () => {
    const grouping = new Grouping('auto', 50);
    expect(grouping.on).toBe(false);
    run(grouping, 3, 256, 4000);
    expect(grouping.on).toBe(true);
    run(grouping, 205, 256, 4000, 40_000);
    expect(grouping.on).toBe(true);
    run(grouping, 1, 256, 4000, 40_000);
    // Judged anew, with few messages in flight, so that a server that is still slow is done with them soon.
    expect([grouping.on, grouping.limit]).toEqual([false, 64]);
    run(grouping, 3, 64, 4000);
    expect([grouping.on, grouping.limit]).toEqual([true, Infinity]);
    run(grouping, 206, 64, 4000, 40_000);
    run(grouping, 1, 64, 50_000);
    expect([grouping.on, grouping.limit]).toEqual([false, Infinity]);
  });

  it('is left where it is not faster, for ten seconds', () => {
    const grouping = new Grouping('auto', 50);
    run(grouping, 9, 256, 8000, 6000);
    expect(grouping.on).toBe(false);
    run(grouping, 199, 256, 8000, 6000);
    expect(grouping.on).toBe(false);
    run(grouping, 4, 256, 8000, 6000);
    expect(grouping.on).toBe(true);
  });

  it('is judged from the first group on: what was written before it is acknowledged slowly', () => {
    const grouping = new Grouping('auto', 50);
    run(grouping, 3, 1000, 4000);
    for (let i = 0; i < 30; i++) grouping.tick(200, 1000, 0.4);
    expect(grouping.on).toBe(true);
    run(grouping, 10, 1000, 4000, 40_000);
    expect(grouping.on).toBe(true);
  });

  it.each([
    ['there is no load', 8, 2000],
    ['messages are fast', 256, 50_000],
  ])('stays off where %s', (_, inFlight, perSecond) => {
    const grouping = new Grouping('auto', 50);
    run(grouping, 100, inFlight, perSecond);
    expect(grouping.on).toBe(false);
  });

  it('is not tried by a process that is slow itself', () => {
    const grouping = new Grouping('auto', 50);
    run(grouping, 30, 256, 4000, 40_000, 0.9);
    expect(grouping.on).toBe(false);
    run(grouping, 3, 256, 4000, 40_000, 0.5);
    expect(grouping.on).toBe(true);
  });

  it('needs messages to be slow in a row', () => {
    const grouping = new Grouping('auto', 50);
    for (let i = 0; i < 20; i++) {
      run(grouping, 2, 256, 2000);
      run(grouping, 1, 256, 50_000);
    }
    expect(grouping.on).toBe(false);
  });

  it('is on or off where it is told to be, until the server takes no batches', () => {
    const always = new Grouping(true, 50);
    run(always, 300, 1, 100_000);
    expect(always.on).toBe(true);
    always.giveUp();
    run(always, 10, 256, 1000);
    expect(always.on).toBe(false);
    const never = new Grouping(false, 50);
    run(never, 10, 256, 1000);
    expect(never.on).toBe(false);
  });
});
