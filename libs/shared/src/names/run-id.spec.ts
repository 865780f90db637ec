import fc from 'fast-check';
import { keyedRunId, newRunId, newRunIdAt, runIdOrigin, runIdSequence, runIdTime, sequenceRunId } from './run-id.js';
import { isName } from './subject.js';

const time = fc.integer({ min: 0, max: 4_102_444_800_000 });

describe('new run ids', () => {
  it('are distinct, increasing, and carry the time', () => {
    const before = Date.now();
    const ids = Array.from({ length: 20_000 }, () => newRunId());
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
    expect(ids.every((id) => runIdOrigin(id) === 'producer' && isName(id))).toBe(true);
    expect(runIdTime(ids[0] as string)).toBeGreaterThanOrEqual(before);
  });

  it('increase also when the clock goes back', () => {
    const now = Date.now() + 1000;
    const first = newRunId(now);
    expect(newRunId(now - 500) > first).toBe(true);
  });

  it('of delayed runs carry their own time and leave the others alone', () => {
    fc.assert(fc.property(time, (at) => expect(runIdTime(newRunIdAt(at))).toBe(at)));
    const due = Date.now() + 3_600_000;
    expect(runIdOrigin(newRunIdAt(due))).toBe('producer');
    expect(new Set(Array.from({ length: 1000 }, () => newRunIdAt(due))).size).toBe(1000);
    expect(runIdTime(newRunId())).toBeLessThan(due);
    expect(runIdTime(newRunIdAt(-5))).toBe(0);
  });
});

describe('derived run ids', () => {
  it('of a sequence name it and its time', () => {
    fc.assert(
      fc.property(
        time,
        fc.maxSafeInteger().filter((n) => n > 0),
        (at, sequence) => {
          const id = sequenceRunId(at, sequence);
          expect(isName(id)).toBe(true);
          expect([runIdOrigin(id), runIdSequence(id), runIdTime(id)]).toEqual(['sequence', sequence, at]);
        },
      ),
    );
  });

  it('of a key are the same for the same key of the same workflow only', () => {
    const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(part, part, part, part, (workspace, workflow, key, other) => {
        const id = keyedRunId(workspace, workflow, key);
        expect([runIdOrigin(id), isName(id), keyedRunId(workspace, workflow, key)]).toEqual(['key', true, id]);
        if (other !== key) expect(keyedRunId(workspace, workflow, other)).not.toBe(id);
        if (other !== workflow) expect(keyedRunId(workspace, other, key)).not.toBe(id);
        expect(runIdTime(id)).toBeUndefined();
      }),
    );
    // A known answer: other languages derive the same id.
    expect(keyedRunId('Orders', 'ProcessOrder', 'invoice-7')).toBe('f0e0bcde-8811-5274-825c-9c1bc3cab886');
  });
});

describe('ids of others', () => {
  it.each([
    '',
    'mine',
    'ffffffff-ffff-4fff-8fff-ffffffffffff',
    '018f0000-0000-7000-0000-000000000000',
    '018F0000-0000-7000-8000-000000000000',
  ])('%j is foreign', (id) => {
    expect([runIdOrigin(id), runIdTime(id), runIdSequence(id)]).toEqual(['foreign', undefined, undefined]);
  });
});

it('goes on with the time of a clock that was put right by an hour', () => {
  const now = Date.now();
  newRunId(now + 3_600_000);
  const made = Array.from({ length: 3 }, () => newRunId(now));
  expect(made.map(runIdTime)).toEqual([now, now, now]);
  expect(new Set(made).size).toBe(3);
});
