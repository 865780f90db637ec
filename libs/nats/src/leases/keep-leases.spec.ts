import { keepLeases } from './keep-leases.js';

const LEASE_MS = 3000;

/** A lease that is as old as said, and what was done with it. */
function leaseOf(ageMs: number, settled = false) {
  const done: string[] = [];
  const message = { settled, leasedAtMs: 10_000 - ageMs, extend: () => void done.push('extended') };
  return { message, done };
}

describe('one pass over the leases', () => {
  it.each([
    ['a young one is left alone', 1000, true, []],
    ['one that is half of its period old is extended', 1500, true, ['extended']],
    ['one that is nearly lost is extended', 2999, true, ['extended']],
    ['one that is as old as its period is given up: another worker may have it', 3000, true, ['lost']],
    ['while the connection is down, nothing is extended', 1500, false, []],
    ['while the connection is down, leases are lost all the same', 3000, false, ['lost']],
  ])('%s', (_, ageMs, connected, expected) => {
    const { message, done } = leaseOf(ageMs);
    keepLeases([message], LEASE_MS, 10_000, connected, () => done.push('lost'));
    expect(done).toEqual(expected);
  });

  it('leaves alone what is settled', () => {
    const { message, done } = leaseOf(9000, true);
    keepLeases([message], LEASE_MS, 10_000, true, () => done.push('lost'));
    expect(done).toEqual([]);
  });
});
