import { maxBlockedMs } from './lease-keeper.js';

it.each([
  ['four times the longest lease', undefined, 60_000, 240_000],
  ['two minutes at least', undefined, 1000, 120_000],
  ['what is given', 5000, 60_000, 5000],
])('an event loop may stand still for %s', (_, given, longestLeaseMs, expected) => {
  expect(maxBlockedMs({ maxBlockedMs: given }, longestLeaseMs)).toBe(expected);
});
