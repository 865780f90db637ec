import fc from 'fast-check';
import { decodeRunCommand, encodeRunCommand } from './command.js';
import { contentOf, keyConflict } from './content.js';

const shuffled = (value: unknown): unknown =>
  typeof value !== 'object' || value === null
    ? value
    : Array.isArray(value)
      ? value.map(shuffled)
      : Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, field]) => [key, shuffled(field)]),
        );

const exact = (value: unknown): boolean =>
  typeof value === 'number'
    ? !Number.isInteger(value) || Number.isSafeInteger(value)
    : typeof value !== 'object' || value === null || Object.values(value).every(exact);
const json = fc.jsonValue({ maxDepth: 4 }).filter(exact);
const read = (payload: unknown): string => contentOf(decodeRunCommand(encodeRunCommand({ payload, userId: 'u1' })));

describe('what a key stands for', () => {
  it('is the same for the same data, in whatever order its members are', () => {
    fc.assert(fc.property(json, (payload) => read(payload) === read(shuffled(payload))));
  });

  it('is another one for other data', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        const same = JSON.stringify(decodeRunCommand(encodeRunCommand({ payload: shuffled(a), userId: 'u' })).payload);
        fc.pre(read(a) !== read(b) || same !== JSON.stringify(shuffled(b)));
        return (read(a) === read(b)) === (contentOf({ payload: shuffled(a), userId: 'x' }) === contentOf({ payload: b, userId: 'x' }));
      }),
    );
    for (const [a, b] of [
      [{ a: 1 }, { a: '1' }],
      [
        [1, 2],
        [2, 1],
      ],
      [{ a: null }, {}],
      [{ a: { b: 1 } }, { 'a.b': 1 }],
      [['a,b'], ['a', 'b']],
    ])
      expect(read(a)).not.toBe(read(b));
  });

  it('tells which part differs', () => {
    const at = (payload: unknown, userId: string): string => contentOf({ payload, userId });
    const difference = (a: string | undefined, b: string | undefined): unknown => keyConflict('r', a, b)?.details['what'];
    expect(difference(at(1, 'u'), at(1, 'u'))).toBeUndefined();
    expect(difference(at(1, 'u'), at(2, 'u'))).toBe('payload');
    expect(difference(at(1, 'u'), at(1, 'v'))).toBe('user');
    expect(difference(at(1, 'u'), at(2, 'v'))).toBe('payload and user');
    expect(difference(undefined, at(2, 'v'))).toBeUndefined();
  });
});
