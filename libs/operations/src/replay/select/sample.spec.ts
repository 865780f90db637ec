import { Sample } from './sample.js';

const taken = (id: string, share: number): number[] =>
  Array.from({ length: 10_000 }, (_, i) => i + 1).filter((sequence) => new Sample(id, share).has(sequence));

it.each([
  [0.01, 60, 140],
  [0.5, 4800, 5200],
  [1, 10_000, 10_000],
])('takes a share of %d', (share, least, most) => {
  const { length } = taken('replay', share);
  expect(length).toBeGreaterThanOrEqual(least);
  expect(length).toBeLessThanOrEqual(most);
});

it('takes the same messages for the same replay, others for another', () => {
  expect(taken('a', 0.1)).toEqual(taken('a', 0.1));
  expect(taken('a', 0.1)).not.toEqual(taken('b', 0.1));
});
