import { SequenceTable } from './sequence-table.js';

interface Message {
  readonly sequence: number;
}

describe('held messages', () => {
  it('are found by their sequence until they are deleted', () => {
    const held = new SequenceTable<Message>();
    const message = { sequence: 7 };
    held.put(message);
    expect([held.get(7), held.get(8), held.size]).toEqual([message, undefined, 1]);
    held.delete(message);
    held.delete(message);
    expect([held.get(7), held.size]).toEqual([undefined, 0]);
  });

  it('replace one with the same sequence, which is then no longer theirs to delete', () => {
    const held = new SequenceTable<Message>();
    const [first, second] = [{ sequence: 1 }, { sequence: 1 }];
    held.put(first);
    held.put(second);
    held.delete(first);
    expect([held.get(1), held.size]).toEqual([second, 1]);
    expect(held.get(1)).toBe(second);
  });

  it.each([
    ['consecutive', (n: number) => n],
    ['in the same places', (n: number) => n * 1024],
    ['beyond 32 bits', (n: number) => 2 ** 40 + n * 3],
    ['around the end of 31 bits', (n: number) => 2 ** 31 - 500 + n],
  ])('agree with a Map whatever comes and goes (%s)', (_, sequenceOf) => {
    const held = new SequenceTable<Message>();
    const map = new Map<number, Message>();
    let seed = 11;
    const random = (below: number): number => (seed = (seed * 16807) % 2147483647) % below;
    for (let step = 0; step < 20_000; step++) {
      const sequence = sequenceOf(random(700));
      const known = map.get(sequence);
      if (known && random(2) === 0) {
        held.delete(known);
        map.delete(sequence);
      } else {
        const message = { sequence };
        held.put(message);
        map.set(sequence, message);
      }
      const other = sequenceOf(random(700));
      if (held.get(other) !== map.get(other)) throw new Error(`step ${step}: they differ at ${other}`);
    }
    expect(held.size).toBe(map.size);
    expect(new Set(held)).toEqual(new Set(map.values()));
    held.clear();
    expect([held.size, [...held]]).toEqual([0, []]);
  });

  it('may be deleted while they are visited', () => {
    const held = new SequenceTable<Message>();
    for (let sequence = 1; sequence <= 100; sequence++) held.put({ sequence });
    let visited = 0;
    for (const message of held) {
      held.delete(message);
      visited++;
    }
    expect([visited, held.size]).toEqual([100, 0]);
  });
});
