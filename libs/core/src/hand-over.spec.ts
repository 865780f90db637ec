import type { Refusal } from '@loopstack/shared';
import fc from 'fast-check';
import { handOver, type RefusedPayload } from './hand-over.js';

const NOW = Date.parse('2026-01-01T12:00:00.000Z');
const HOUR = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const refusal = (more: Partial<Refusal> = {}): Refusal => ({ since: iso(NOW - 1000), count: 1, by: ['old'], ...more });
const refused = (more: Partial<RefusedPayload> = {}): RefusedPayload => ({
  before: undefined,
  contract: 'old',
  acceptedBy: ['new'],
  nowMs: NOW,
  waitMs: HOUR,
  ...more,
});

describe('a payload that a release refuses', () => {
  it.each<[string, Partial<RefusedPayload>, Refusal | undefined]>([
    ['nobody else accepts', { acceptedBy: [] }, undefined],
    ['another release accepts', {}, { since: iso(NOW), count: 1, by: ['old'] }],
    ['another one accepts, again', { before: refusal() }, { since: iso(NOW - 1000), count: 2, by: ['old'] }],
    ['the other one has refused, too', { before: refusal({ by: ['new'] }) }, undefined],
    [
      'a third one accepts',
      { acceptedBy: ['new', 'newer'], before: refusal({ by: ['new'] }) },
      { since: iso(NOW - 1000), count: 2, by: ['new', 'old'] },
    ],
    ['has waited long enough', { before: refusal({ since: iso(NOW - HOUR) }) }, undefined],
    [
      'has waited nearly long enough',
      { before: refusal({ since: iso(NOW - HOUR + 1) }) },
      { since: iso(NOW - HOUR + 1), count: 2, by: ['old'] },
    ],
    ['is not to wait at all', { waitMs: 0 }, undefined],
    ['was refused by a clock that is ahead', { before: refusal({ since: iso(NOW + HOUR) }) }, { since: iso(NOW), count: 2, by: ['old'] }],
    ['has an unreadable history', { before: refusal({ since: 'x' }) }, { since: iso(NOW), count: 2, by: ['old'] }],
    ['was delivered too often', { before: refusal({ count: 2500 }) }, undefined],
  ])('that %s', (_, more, expected) => {
    expect(handOver(refused(more), 0.5)?.refusal).toEqual(expected);
  });

  it('waits twice as long each time, up to two seconds, with jitter', () => {
    const delay = (count: number, random: number): number | undefined => handOver(refused({ before: refusal({ count }) }), random)?.delayMs;
    expect([1, 2, 3, 4, 5, 6, 100].map((count) => delay(count, 0.5))).toEqual([500, 1000, 2000, 2000, 2000, 2000, 2000]);
    expect([delay(9, 0), delay(9, 1)]).toEqual([1600, 2400]);
  });

  it('ends, whatever accepts it and whatever the clocks say', () => {
    const ids = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(
        fc.array(fc.record({ contract: ids, acceptedBy: fc.array(ids), stepMs: fc.integer({ min: -HOUR, max: HOUR }) }), { minLength: 1 }),
        (steps) => {
          let before: Refusal | undefined;
          let nowMs = NOW;
          for (let i = 0; i <= 2500; i++) {
            const { stepMs, ...step } = steps[i % steps.length] as (typeof steps)[number];
            const next = handOver(refused({ ...step, before, nowMs: (nowMs += stepMs) }), 0.5);
            if (!next) return true;
            expect(next.delayMs).toBeGreaterThan(0);
            expect(next.refusal.by.length).toBeLessThanOrEqual(3);
            before = next.refusal;
          }
          return false;
        },
      ),
      { numRuns: 50 },
    );
  });
});
