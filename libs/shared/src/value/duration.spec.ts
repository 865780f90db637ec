import fc from 'fast-check';
import { durationMs, sizeBytes, type Duration, type Size } from './duration.js';
import { LoopstackError } from '../error.js';

describe('durations and sizes', () => {
  it.each<[Duration, number]>([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['0s', 0],
    [1500, 1500],
    [0.4, 0],
  ])('%s is %i ms', (text, ms) => {
    expect(durationMs('delay', text)).toBe(ms);
  });

  it.each<[Size, number]>([
    ['64KiB', 65_536],
    ['1.5MiB', 1_572_864],
    ['10B', 10],
    [7, 7],
  ])('%s is %i bytes', (text, size) => {
    expect(sizeBytes('limit', text)).toBe(size);
  });

  it.each(['', '5', 's', '1 h', '-1s', '1e3s', '1m30s', '1M', '١s', -1, NaN, Infinity, null, undefined, {}, [1], '9'.repeat(400) + 's'])(
    '%j is refused, and the option is named',
    (value) => {
      expect(() => durationMs('publishTimeout', value as Duration)).toThrow(/publishTimeout/);
    },
  );

  it('are whole numbers, or are refused, whatever is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.string(),
          fc.double(),
          fc.tuple(fc.float({ min: 0, noNaN: true }), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'x')).map(([n, unit]) => `${n}${unit}`),
        ),
        (value) => {
          try {
            const ms = durationMs('x', value as Duration);
            expect(Number.isFinite(ms) && ms >= 0 && Number.isInteger(ms)).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(LoopstackError);
            expect(error).toMatchObject({ code: 'OPTION_INVALID' });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
