import { monotonicMs } from '@loopstack/shared/contract';
import { NO_COUNTS } from '../replay-log.js';
import { Meter } from './meter.js';

describe('the time that is left', () => {
  it('is unknown before the first message', () => {
    expect(new Meter('r', 100, Number.POSITIVE_INFINITY).progress(NO_COUNTS, 0, undefined).leftMs).toBeUndefined();
  });

  it.each<[string, number, number, number]>([
    ['by the place in the source', Number.POSITIVE_INFINITY, 100, 0],
    ['by the commands that are still to be found', 20, 2, 20],
  ])('is none at the end, %s', (_, limit, scanned, matched) => {
    const meter = new Meter('r', 100, limit);
    // A resumed replay counts from the commands of the process before.
    meter.begin(1, 10);
    meter.begin(2, 11);
    expect(meter.progress({ ...NO_COUNTS, matched }, scanned, undefined).leftMs).toBe(0);
  });
});

it('measures no time while it holds', () => {
  const meter = new Meter('r', 100, 1);
  meter.hold();
  const { elapsedMs } = meter;
  const nowMs = monotonicMs();
  while (monotonicMs() === nowMs);
  expect(meter.elapsedMs).toBe(elapsedMs);
});
