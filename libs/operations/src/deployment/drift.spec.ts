import { drift, satisfies } from './drift.js';

describe('whether what the server has is what is wanted', () => {
  it.each([
    ['equal values', 'limits', 'limits', true],
    ['other values', 'workqueue', 'limits', false],
    ['zero, which the server leaves out', undefined, 0, true],
    ['false, which the server leaves out', undefined, false, true],
    ['a number that is absent', undefined, 5, false],
    ['a list in another order', ['b', 'a'], ['a', 'b'], true],
    ['a list with more', ['a', 'b', 'c'], ['a', 'b'], false],
    ['an empty list that the server leaves out', undefined, [], true],
    ['a list that should be empty', [1], [], false],
    ['an object with more fields', [{ name: 'A', filter: '' }], [{ name: 'A' }], true],
    ['an object with another field', [{ name: 'B' }], [{ name: 'A' }], false],
    ['no limit', -1, -1, true],
  ])('%s', (_, actual, desired, expected) => {
    expect(satisfies(actual, desired)).toBe(expected);
  });

  it('names what cannot be changed first: that is what an update is refused for', () => {
    const actual = { subjects: ['a'], storage: 'memory', retention: 'limits', discard: 'old' };
    const desired = { subjects: ['b'], storage: 'file', retention: 'limits', discard: 'new' };
    expect(drift(actual, desired, ['subjects', 'retention', 'discard', 'storage'])).toEqual(['storage', 'subjects', 'discard']);
  });
});
