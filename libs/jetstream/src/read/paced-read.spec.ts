import { PacedRead } from './paced-read.js';

describe('a paced read', () => {
  it('answers at once, and whoever asks meanwhile by one further read', async () => {
    let begun = 0;
    let finish: () => void = () => undefined;
    const paced = new PacedRead(async () => {
      const nth = ++begun;
      await new Promise<void>((resolve) => (finish = resolve));
      return nth;
    }, 1);
    const first = paced.ask();
    while (begun === 0) await Promise.resolve();
    const later = Array.from({ length: 1000 }, () => paced.ask());
    expect(begun).toBe(1);
    finish();
    expect(await first).toBe(1);
    while (begun === 1) await new Promise(setImmediate);
    finish();
    expect(new Set(await Promise.all(later))).toEqual(new Set([2]));
    expect(begun).toBe(2);
  });

  it('keeps its distance', async () => {
    const times: number[] = [];
    const paced = new PacedRead(() => Promise.resolve(times.push(performance.now())), 50);
    for (let i = 0; i < 3; i++) await paced.ask();
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(49);
  });

  it('goes on after one that failed', async () => {
    let fails = true;
    const paced = new PacedRead(() => (fails ? Promise.reject(new Error('down')) : Promise.resolve('up')), 1);
    await expect(paced.ask()).rejects.toThrow('down');
    fails = false;
    expect(await paced.ask()).toBe('up');
  });
});
