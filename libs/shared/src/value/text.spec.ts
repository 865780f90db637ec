import fc from 'fast-check';
import { isUserId } from '../message/command.js';
import { PLAIN_TEXT, printable, printableJson, unfitText } from './text.js';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const code = (point: number): string => String.fromCodePoint(point);

describe('a text that is an id or a header', () => {
  it.each([
    ...Array.from({ length: 0x20 }, (_, i) => i),
    ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
    ...[0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
  ])('holds no control character (%d)', (point) => {
    const forged = `user${code(point)}x`;
    expect(unfitText(forged)).toBe('a string with a control character');
    expect(isUserId(forged)).toBe(false);
    expect(printable(forged)).toBe(`user\\u${point.toString(16).padStart(4, '0')}x`);
    const json = JSON.stringify({ forged }, undefined, 2);
    expect(printableJson(json)).not.toContain(code(point === 0x0a ? 0x0d : point));
    expect(JSON.parse(printableJson(json))).toEqual({ forged });
  });

  it.each(['\ud800', 'a\udc00b'])('holds no lone surrogate (%j)', (lone) => {
    expect(unfitText(lone)).toBe('a string with a lone surrogate');
    expect(isUserId(lone)).toBe(false);
  });

  it.each(['Ünal', '日本', 'علي', 'מרים', '\u200fעברית', '👩‍👩‍👧', ' u ', 'a"b\\c', '${x}', '__proto__', 'null'])('may be %j', (fine) => {
    expect(unfitText(fine)).toBeUndefined();
    expect(isUserId(fine)).toBe(true);
  });

  it('is what its pattern in the schemas says', () => {
    const pattern = new RegExp(PLAIN_TEXT, 'u');
    fc.assert(fc.property(text, (any) => !any.isWellFormed() || pattern.test(any) === (unfitText(any) === undefined)));
  });

  it('is on one line of a log, whatever it is', () => {
    fc.assert(fc.property(text, (any) => unfitText(printable(any)) === undefined));
  });
});
