import { Rate, batchSize, byAddress } from './pace.js';

describe('the pace', () => {
  it.each([
    [undefined, 999],
    [1, 1],
    [50, 10],
    [1_000_000, 999],
  ])('at %s a second a batch has %i commands', (rate, size) => {
    expect(batchSize(rate)).toBe(size);
  });

  it('does not make up for time that was not used', () => {
    const rate = new Rate(10);
    expect(rate.take(10, 0)).toBe(0);
    expect(rate.take(5, 0)).toBe(1000);
    expect(rate.take(5, 10_000)).toBe(0);
    expect(rate.take(1, 10_000)).toBe(500);
    expect(new Rate(undefined).take(1000, 0)).toBe(0);
  });
});

it('counts the commands of each workflow', () => {
  const of = (workspace: string, workflow: string) => ({ command: { workspace, workflow } });
  const counts = byAddress([of('A', 'F'), of('A', 'G'), of('A', 'F')]);
  expect([...counts].map(([key, { count }]) => [key, count])).toEqual([
    ['A.F', 2],
    ['A.G', 1],
  ]);
});
