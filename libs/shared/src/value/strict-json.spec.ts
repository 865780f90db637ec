import fc from 'fast-check';
import { LoopstackError } from '../error.js';
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

const digits = (max: number): fc.Arbitrary<string> =>
  fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: max }).map((all) => all.join(''));
const numberLiteral = fc
  .tuple(
    fc.constantFrom('', '-'),
    digits(25).map((whole) => whole.replace(/^0+(?=.)/, '')),
    fc.option(
      fc.oneof(
        digits(25),
        digits(3).map((zeros) => zeros.replaceAll(/./g, '0')),
      ),
      { nil: undefined },
    ),
    fc.option(fc.tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.integer({ min: 0, max: 400 })), { nil: undefined }),
  )
  .map(([sign, whole, fraction, exponent]) => `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${exponent?.join('') ?? ''}`);

/** A literal as a fraction of integers, exactly. */
function exactly(literal: string): readonly [numerator: bigint, denominator: bigint] {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const power = Number(exponent) - fraction.length;
  const integer = BigInt(whole.replace('-', '') + fraction) * (whole.startsWith('-') ? -1n : 1n);
  return power >= 0 ? [integer * 10n ** BigInt(power), 1n] : [integer, 10n ** BigInt(-power)];
}

/** Whether it is an integer that is another one when it has been read and written. */
function changes(literal: string): boolean {
  const [numerator, denominator] = exactly(literal);
  if (numerator % denominator !== 0n) return false;
  const [written, one] = exactly(String(JSON.parse(literal)));
  return numerator / denominator !== written / one;
}

describe('a number', () => {
  const cases: readonly (readonly [literal: string, taken: boolean])[] = [
    ['1E22', true],
    ['123e65', true],
    ['123.456e78', true],
    ['1e+308', true],
    ['-0', true],
    ['0.1', true],
    ['0.1000000000000000055511151231257827021181583404541015625', true],
    ['9007199254740991', true],
    ['9007199254740992', true],
    ['9007199254740993', false],
    ['-9007199254740993', false],
    ['9007199254740993.0', false],
    ['9007199254740993.5', true],
    ['900719925474099.3e1', false],
    ['9007199254740993000e-3', false],
    ['9007199254740994', true],
    ['100000000000000000000', true],
    ['12345678901234567890', false],
    ['1152921504606847000', true],
    ['1152921504606846976', false],
    ['1e400', false],
    ['1E400', false],
    ['-1.5e400', false],
    ['1e-400', true],
    [`1${'0'.repeat(400)}e-390`, true],
    [`${'1'.repeat(400)}e-390`, true],
  ];

  it.each(cases)('%s is taken: %s', (literal, taken) => {
    expect(parse(bytes(literal))).toEqual(taken ? { value: JSON.parse(literal) as unknown } : { code: 'BODY_NOT_IJSON' });
  });

  it('is what JSON.parse reads, or an integer that a double changes', () => {
    const around = fc
      .tuple(numberLiteral, fc.constantFrom('', '"9007199254740993\\"",', '"\\\\",', '0,'))
      .map(([n, before]) => `[${before}${n}]`);
    fc.assert(
      fc.property(around, (text) => {
        const literal = /[^,[]+(?=\]$)/.exec(text)?.[0] as string;
        const value = JSON.parse(text) as number[];
        const taken = Number.isFinite(value.at(-1)) && !changes(literal);
        expect(parse(bytes(text))).toEqual(taken ? { value } : { code: 'BODY_NOT_IJSON' });
      }),
      { numRuns: 5000, examples: cases.map(([literal]) => [`[0,${literal}]`]) },
    );
  });

  it('that was written from a double is taken', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ noNaN: true, noDefaultInfinity: true }),
          fc.maxSafeInteger().map((n) => n * 4096),
        ),
        (double) => {
          const text = JSON.stringify([double]);
          expect(parse(bytes(text))).toEqual({ value: JSON.parse(text) as unknown });
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('is one number for one integer: no two that are taken are read as one', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 70n }), fc.bigInt({ min: 1n, max: 2n ** 18n }), (one, more) => {
        const taken = [one, one + more].map((integer) => parse(bytes(String(integer)))).filter((read) => 'value' in read);
        expect(new Set(taken.map(({ value }) => value)).size).toBe(taken.length);
      }),
      { numRuns: 2000 },
    );
  });
});
