import { framesOf, isA, reasonOf, textOf } from './thrown.js';

const evil = (): never => {
  throw new Error('evil');
};
const circle: { self?: unknown } = {};
circle.self = circle;
const unreadable = Object.defineProperty(new Error('x'), 'message', { get: evil });
const proxy = new Proxy(new Error('p'), { getPrototypeOf: evil, get: evil });

it.each([
  [new RangeError('far'), 'RangeError: far'],
  ['text', 'it threw text'],
  [undefined, 'it threw undefined'],
  [{ status: 'error' }, 'it threw {"status":"error"}'],
  [circle, 'it threw a object'],
  [10n, 'it threw a bigint'],
  [Symbol('s'), 'it threw symbol'],
  [new Error('two\nlines'), 'Error: two\\u000alines'],
  [unreadable, 'Error: its message cannot be read'],
  [Object.assign(new Error('numbered'), { name: 42 }), 'Error: numbered'],
  [Object.assign(new Error('named'), { name: Symbol('n') }), 'Error: named'],
  [Object.assign(new Error(), { message: { toString: evil } }), 'Error: its message cannot be read'],
  [proxy, 'it threw a object'],
  [{ toJSON: evil }, 'it threw a object'],
])('%# of what was thrown is told in one line', (thrown, reason) => {
  expect(reasonOf(thrown)).toBe(reason);
});

it('frames are those of its own stack, without what its message quotes', () => {
  const quoted = new Error('first\n    at second (x.js:1:1)');
  const frames = framesOf(quoted) ?? '';
  expect(frames).toContain('thrown.spec');
  expect(frames).not.toContain('second');
  expect(framesOf(Object.assign(new Error('m'), { stack: 'Other: n\n    at a' }))).toBe('    at a');
  expect([undefined, null, 'text', proxy].map(framesOf)).toEqual(Array(4).fill(undefined));
});

it('a field is text or nothing', () => {
  expect(textOf(new Error('m'), 'message')).toBe('m');
  expect(textOf(Object.assign(new Error('m'), { stack: [] }), 'stack')).toBeUndefined();
  expect([undefined, null, unreadable, proxy].map((thrown) => textOf(thrown, 'message'))).toEqual(Array(4).fill(undefined));
});

it('a class is told apart, also of what does not let itself be asked', () => {
  expect(isA(new TypeError('x'), Error)).toBe(true);
  expect(isA('x', Error)).toBe(false);
  expect(isA(proxy, Error)).toBe(false);
});
