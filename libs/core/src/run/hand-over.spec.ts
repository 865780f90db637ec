import type { Refusal } from '@loopstack/shared';
import fc from 'fast-check';
import { handOver, type RefusedPayload } from './hand-over.js';

const HOUR = 3_600_000;
const refusal = (more: Partial<Refusal> = {}): Refusal => ({ count: 1, waitedMs: 250, by: ['old'], ...more });
const refused = (more: Partial<RefusedPayload> = {}): RefusedPayload => ({
  before: undefined,
  contract: 'old',
  acceptedBy: ['new'],
  waitMs: HOUR,
  turnMs: 0,
  ...more,
});

describe('a payload that a release refuses', () => {
  it.each<[string, Partial<RefusedPayload>, Refusal | undefined]>([
    ['nobody else accepts', { acceptedBy: [] }, undefined],
    ['another release accepts', {}, refusal()],
    ['another one accepts, again', { before: refusal() }, refusal({ count: 2, waitedMs: 750 })],
    ['the other one has refused, too', { before: refusal({ by: ['new'] }) }, undefined],
    [
      'a third one accepts',
      { acceptedBy: ['new', 'newer'], before: refusal({ by: ['new'] }) },
      refusal({ count: 2, waitedMs: 750, by: ['new', 'old'] }),
    ],
    ['has waited long enough', { before: refusal({ waitedMs: HOUR }) }, undefined],
    ['has waited nearly long enough', { before: refusal({ waitedMs: HOUR - 1 }) }, refusal({ count: 2, waitedMs: HOUR + 499 })],
    ['is not to wait at all', { waitMs: 0 }, undefined],
    ['has an unreadable history', { before: { count: 'x', waitedMs: 'y', by: ['old'] } as never }, undefined],
    ['was delivered too often', { before: refusal({ count: 2500 }) }, undefined],
    ['has to wait for its turn', { turnMs: 7000 }, refusal({ waitedMs: 7000 })],
  ])('that %s', (_, more, expected) => {
    expect(handOver(refused(more), 0.5)?.refusal).toEqual(expected);
  });

  it('waits twice as long each time, up to two seconds, with jitter', () => {
    const delay = (count: number, random: number): number | undefined => handOver(refused({ before: refusal({ count }) }), random)?.delayMs;
    expect([1, 2, 3, 4, 5, 6, 100].map((count) => delay(count, 0.5))).toEqual([500, 1000, 2000, 2000, 2000, 2000, 2000]);
    expect([delay(9, 0), delay(9, 1)]).toEqual([1600, 2400]);
  });

  it('ends, whoever accepts it', () => {
    const ids = fc.constantFrom('a', 'b', 'c');
    const step = fc.record({ contract: ids, acceptedBy: fc.array(ids), turnMs: fc.integer({ min: 0, max: HOUR }) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), fc.integer({ min: 0, max: HOUR }), (steps, waitMs) => {
        let before: Refusal | undefined;
        let waitedMs = 0;
        for (let i = 0; i <= 2500; i++) {
          const next = handOver(refused({ ...steps[i % steps.length], before, waitMs }), 0.5);
          if (!next) return true;
          expect(waitedMs).toBeLessThan(waitMs);
          expect(next.delayMs).toBeGreaterThanOrEqual(250);
          expect(next.refusal.by.length).toBeLessThanOrEqual(3);
          expect(next.refusal.waitedMs).toBe((waitedMs += next.delayMs));
          before = next.refusal;
        }
        return false;
      }),
    );
  });
});
