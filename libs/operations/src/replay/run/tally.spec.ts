import { LoopstackError } from '@loopstack/shared/contract';
import { NO_COUNTS, type ReplayCounts } from '../replay-log.js';
import { invalid, skipped, type ReadyCommand, type Selection } from '../select/selection.js';
import { Tally } from './tally.js';

const selected = (sequence: number): Selection => ({ sequence, kind: 'selected', command: {} as ReadyCommand });
const refused = (sequence: number): Selection => invalid(sequence, new LoopstackError('COMMAND_LOST', { runId: 'r' }));
const tally = (): Tally => new Tally({ counts: NO_COUNTS, position: 0, invalid: [] });

it.each<[string, Selection, Partial<ReplayCounts>]>([
  ['a skipped message', skipped(3), {}],
  ['a command of a replay', { sequence: 3, kind: 'replayed' }, { replayed: 1 }],
  ['a dropped command', { sequence: 3, kind: 'dropped' }, { matched: 1, dropped: 1 }],
  ['a refused command', refused(3), { matched: 1, invalid: 1 }],
  ['a selected command', selected(3), { matched: 1 }],
])('counts %s', (_, selection, counts) => {
  const one = tally();
  one.add(selection);
  expect(one.shown).toEqual({ ...NO_COUNTS, read: 1, ...counts });
  expect(one.scanned).toBe(3);
});

it('continues with the counts of the process before', () => {
  const one = new Tally({ counts: { ...NO_COUNTS, read: 5, matched: 4, published: 4 }, position: 9, invalid: [] });
  expect([one.scanned, one.matched, one.stored.position]).toEqual([9, 4, 9]);
});

describe('the stored place', () => {
  it('moves over messages of which none is to be stored', () => {
    const one = tally();
    one.add(skipped(1));
    one.add(refused(2));
    one.settle();
    expect(one.stored).toMatchObject({ position: 2, counts: { read: 2, invalid: 1 } });
  });

  it('stays before commands that wait for their batch', () => {
    const one = tally();
    one.add(selected(1));
    one.add(skipped(2));
    one.settle();
    expect(one.stored.position).toBe(0);
  });

  it('follows the last batch, and passes it when nothing waits', () => {
    const one = tally();
    one.add(selected(1));
    const place = one.flush(1, 0);
    one.add(skipped(2));
    expect(one.shown.published).toBe(0);
    one.store(1, place);
    expect(one.stored).toMatchObject({ position: 1, counts: { published: 1 } });
    one.settle();
    expect(one.stored).toMatchObject({ position: 2, counts: { published: 1 } });
  });

  it('does not wait for runs that are busy', () => {
    const one = tally();
    one.add(selected(1));
    one.flush(0, 1);
    one.settle();
    expect(one.stored).toMatchObject({ position: 1, counts: { published: 0, busy: 1 } });
  });
});

it('keeps the first refused commands alone', () => {
  const one = new Tally({ counts: NO_COUNTS, position: 0, invalid: [] }, 2);
  for (const sequence of [1, 2, 3]) one.add(refused(sequence));
  expect(one.invalid.map(({ sequence }) => sequence)).toEqual([1, 2]);
});
