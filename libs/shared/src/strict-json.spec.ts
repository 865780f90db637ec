import fc from 'fast-check';
import { LoopstackError } from './error.js';
import { parseStrictJson } from './strict-json.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function parse(data: Uint8Array): { value: unknown } | { code: string } {
  try {
    return { value: parseStrictJson(data) };
  } catch (error) {
    if (error instanceof LoopstackError) return { code: error.code };
    throw error;
  }
}

/** What a text says about duplicate keys, seen by another parser: a reviver-free reading that keeps every member. */
function hasDuplicateKeys(text: string): boolean {
  let duplicate = false;
  let at = 0;
  const space = (): void => {
    while (/\s/.test(text[at] ?? '')) at++;
  };
  const string = (): string => {
    const start = at++;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    return JSON.parse(text.slice(start, ++at)) as string;
  };
  const value = (): void => {
    space();
    if (text[at] === '{') {
      const keys = new Set<string>();
      at++;
      for (space(); text[at] !== '}'; space()) {
        if (text[at] === ',') at++;
        space();
        const key = string();
        if (keys.has(key)) duplicate = true;
        keys.add(key);
        space();
        at++;
        value();
      }
      at++;
    } else if (text[at] === '[') {
      at++;
      for (space(); text[at] !== ']'; space()) {
        if (text[at] === ',') at++;
        value();
      }
      at++;
    } else if (text[at] === '"') string();
    else while (at < text.length && !/[,\]}\s]/.test(text[at] as string)) at++;
  };
  value();
  return duplicate;
}

/** JSON texts with keys that meet again, in several spellings. */
const key = fc.constantFrom('"a"', '"b"', '"\\u0061"', '"__proto__"', '"constructor"', '":"', '"\\""', '"\\\\"', '"{"');
const texts = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('1', '-0.5', 'true', 'null', '"x"', '"\\\\"', '":"', '"\\u0041"', '[]', '{}', '"\\ud83d\\ude00"'),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((members) => `{${members.map(([k, v]) => `${k} : ${v}`).join(',')}}`),
  ),
})).value;

describe('strict JSON', () => {
  it('reads what JSON.parse reads, except for duplicate keys', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const read = parse(bytes(text));
        if (hasDuplicateKeys(text)) expect(read).toEqual({ code: 'BODY_NOT_IJSON' });
        else expect(read).toEqual({ value: JSON.parse(text) as unknown });
      }),
      { numRuns: 1500 },
    );
  });

  it('refuses bytes with a typed error or reads them, and tells nothing of the body', () => {
    const secret = 'hunter2';
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (noise, at) => {
        const body = Buffer.concat([noise.subarray(0, at), bytes(`"${secret}"`), noise.subarray(at)]);
        try {
          parseStrictJson(body);
        } catch (error) {
          expect(error).toBeInstanceOf(LoopstackError);
          expect((error as Error).message).not.toContain(secret);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps __proto__ as a member and the prototype clean', () => {
    const read = parse(bytes('{"__proto__":{"polluted":1}}')) as { value: object };
    expect(Object.hasOwn(read.value, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('takes time in proportion to the size of what it refuses', () => {
    const began = performance.now();
    expect(parse(Buffer.alloc(1024 * 1024, '['))).toEqual({ code: 'BODY_TOO_DEEP' });
    expect(parse(bytes(`"${'\\ud800'.repeat(150_000)}"`))).toEqual({ code: 'BODY_NOT_IJSON' });
    expect(parse(bytes(`[${'{"a":1},'.repeat(60_000)}1`))).toEqual({ code: 'BODY_NOT_JSON' });
    expect(parse(bytes(`[${'{"a":1},'.repeat(100_000)}1]`))).toEqual({ code: 'COMMAND_INVALID' });
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
