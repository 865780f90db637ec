import fc from 'fast-check';
import { BlockWatch } from './block-watch.js';

function silence(looks: readonly (readonly [nowMs: number, sign: number])[]): number {
  const watch = new BlockWatch();
  let silentMs = 0;
  for (const [nowMs, sign] of looks) silentMs = watch.look(nowMs, sign);
  return silentMs;
}

it.each([
  ['one look says nothing', [[1000, 1]], 0],
  [
    'silence is what passes between looks',
    [
      [0, 1],
      [200, 1],
      [450, 1],
    ],
    450,
  ],
  [
    'a sign of life ends it',
    [
      [0, 1],
      [200, 1],
      [400, 2],
    ],
    0,
  ],
  [
    'a frozen process counts for a second',
    [
      [0, 1],
      [200, 1],
      [3_600_000, 1],
    ],
    1200,
  ],
  [
    'a clock that goes back counts for nothing',
    [
      [5000, 1],
      [100, 1],
      [300, 1],
    ],
    200,
  ],
] as const)('%s', (_, looks, expected) => {
  expect(silence(looks)).toBe(expected);
});

it('never counts more than has passed, nor more than a second a look', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { minLength: 1 }), (steps) => {
      let now = 0;
      const looks = steps.map((step): [number, number] => [(now += step), 7]);
      const silentMs = silence(looks);
      expect(silentMs).toBeLessThanOrEqual(now - (steps[0] as number));
      expect(silentMs).toBeLessThanOrEqual(1000 * (steps.length - 1));
    }),
  );
});
