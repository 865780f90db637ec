import type { ReadyCommand } from '../select/selection.js';
import { PendingBatch } from './pending-batch.js';

const command = (bytes: number): ReadyCommand => ({ data: new Uint8Array(bytes), lines: '' }) as ReadyCommand;
const MIB = 1024 * 1024;

it.each<[string, number, readonly number[], readonly boolean[]]>([
  ['by its number of commands', 3, [1, 1, 1], [false, false, true]],
  ['by its bytes', 999, [3 * MIB, MIB], [false, true]],
  ['with one command that is larger than all', 999, [5 * MIB], [true]],
])('is full %s', (_, size, sizes, full) => {
  const batch = new PendingBatch(size, 0);
  expect(sizes.map((bytes) => batch.add(command(bytes)))).toEqual(full);
});

it('begins anew when it is taken', () => {
  const batch = new PendingBatch(2, 0);
  batch.add(command(1));
  expect(batch.take(0)).toHaveLength(1);
  expect(batch.take(0)).toEqual([]);
  expect(batch.add(command(1))).toBe(false);
});

it.each([
  [1000, false],
  [1001, true],
])('after %i ms it is due: %s', (ms, due) => {
  const batch = new PendingBatch(2, 0);
  batch.take(500);
  expect(batch.isDue(500 + ms)).toBe(due);
});
