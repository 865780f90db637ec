import { jest } from '@jest/globals';
import { LoopstackError } from '@loopstack/shared';
import { REDACTED, resolveRedaction, type RedactOptions } from './redact.js';

const RUN = { workspace: 'Shop', workflow: 'Pay', runId: 'r1' };
const redactor = (options: RedactOptions) => resolveRedaction('redact', options)!;
const failed = (cause: unknown): LoopstackError => new LoopstackError('HANDLER_FAILED', { workflow: 'Pay', reason: 'raw' }, { cause });
/** Message of a run that failed with `thrown`. */
const said = (options: RedactOptions, payload: unknown, thrown: unknown): string =>
  redactor(options).error(failed(thrown), payload, RUN).message;

describe('resolveRedaction', () => {
  it('is nothing where nothing is to be kept out', () => {
    expect(resolveRedaction('redact', {})).toBeUndefined();
    expect(resolveRedaction('redact', { paths: [] }, { paths: [] })).toBeUndefined();
  });

  it.each<[string, RedactOptions]>([
    ['an empty path', { paths: [''] }],
    ['a path with an empty step', { paths: ['card..number'] }],
    ['a path that is no text', { paths: [7 as never] }],
    ['a function that is none', { error: 'hide' as never }],
  ])('refuses %s', (_, options) => {
    expect(() => resolveRedaction('Pay.redact', options)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  });

  it('adds the paths of the application to those of the workflow', () => {
    const both = resolveRedaction('redact', { paths: ['pin'] }, { paths: ['card.number'] })!;
    expect(both.payload({ pin: '1234', card: { number: '4111', name: 'Ada' } })).toEqual({
      pin: REDACTED,
      card: { number: REDACTED, name: 'Ada' },
    });
  });
});

describe('a payload', () => {
  it.each<[string, string[], unknown, unknown]>([
    ['a key', ['a'], { a: 1, b: 2 }, { a: REDACTED, b: 2 }],
    ['all that is below a key', ['a'], { a: { b: ['x'] } }, { a: REDACTED }],
    [
      'a key of each item',
      ['items.*.pin'],
      { items: [{ pin: '1' }, { pin: '2', n: 3 }] },
      { items: [{ pin: REDACTED }, { pin: REDACTED, n: 3 }] },
    ],
    ['one item', ['items.1'], { items: ['a', 'b'] }, { items: ['a', REDACTED] }],
    ['every key', ['*'], { a: 1, b: null }, { a: REDACTED, b: REDACTED }],
    ['every item of an array', ['*'], ['a'], [REDACTED]],
    ['nothing that is not there', ['a.b.c'], { a: { x: 1 } }, { a: { x: 1 } }],
    ['nothing of what is no object', ['a'], 'text', 'text'],
    ['an own key named __proto__', ['__proto__'], JSON.parse('{"__proto__":"s"}'), JSON.parse(`{"__proto__":"${REDACTED}"}`)],
  ])('loses %s', (_, paths, payload, expected) => {
    const before = JSON.stringify(payload);
    expect(JSON.stringify(redactor({ paths }).payload(payload))).toBe(JSON.stringify(expected));
    expect(JSON.stringify(payload)).toBe(before);
  });
});

describe('an error', () => {
  const SECRET = 'hush-hush "quoted"\u0007 & more';

  it.each<[string, unknown]>([
    ['its message', new Error(`no account for ${SECRET}`)],
    ['JSON in its message', new Error(`request failed: ${JSON.stringify({ token: SECRET })}`)],
    ['a URL in its message', new Error(`GET https://bank/?token=${encodeURIComponent(SECRET)}`)],
    ['text that was thrown', `bad ${SECRET}`],
    ['an object that was thrown', { status: 500, token: SECRET }],
    ['a message so long that it is cut within the value', new Error(`${'x'.repeat(485)}${SECRET}`)],
  ])('does not show a value of the payload in %s', (_, thrown) => {
    const message = said({ paths: ['token'] }, { token: SECRET }, thrown);
    expect(message).not.toMatch(/hush|quoted/);
  });

  it('does not show numbers, and values deep below a path', () => {
    const payload = { card: { digits: [4111, { cvv: '987' }] } };
    expect(said({ paths: ['card'] }, payload, new Error('declined 4111 with 987'))).toBe(
      `Pay failed: Error: declined ${REDACTED} with ${REDACTED}`,
    );
  });

  it('keeps a word that is too short to be a secret', () => {
    expect(said({ paths: ['country'] }, { country: 'at' }, new Error('not at home'))).toBe('Pay failed: Error: not at home');
  });

  it('says what the function makes of it, and the paths hold there, too', () => {
    const error = jest.fn((thrown: unknown) => (thrown as Error).message.replace(/\d{4}/g, '****'));
    expect(said({ error, paths: ['token'] }, { token: 'hush' }, new TypeError('card 4111 of hush'))).toBe(
      `Pay failed: TypeError: card **** of ${REDACTED}`,
    );
    expect(error).toHaveBeenCalledWith(expect.any(TypeError), RUN);
  });

  it('of ours that the workflow throws is told as the function says, under its own code', () => {
    const error = jest.fn((thrown: unknown) => (thrown as Error).message.replaceAll('SECRET', 'xxx'));
    const child = new LoopstackError('RUN_FAILED', { runId: 'c1', reason: 'no SECRET of hush' });
    const told = redactor({ error, paths: ['token'] }).error(child, { token: 'hush' }, RUN, { thrown: true });
    expect(told).toMatchObject({ code: 'RUN_FAILED', message: `LoopstackError: Run c1 failed: no xxx of ${REDACTED}` });
    expect(error).toHaveBeenCalledWith(child, RUN);
    expect(redactor({ error }).error(child, {}, RUN).message).toContain('SECRET');
  });

  it.each<[string, RedactOptions['error']]>([
    [
      'throws',
      () => {
        throw new Error('SECRET');
      },
    ],
    ['returns no text', () => undefined as never],
  ])('says nothing where the function %s', (_, error) => {
    expect(said({ error: error! }, {}, new Error('SECRET'))).toBe(`Pay failed: Error: ${REDACTED}`);
  });

  it('keeps code, class and cause', () => {
    const cause = new RangeError('SECRET');
    const error = redactor({ error: () => 'hidden' }).error(failed(cause), {}, RUN);
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', cause });
  });

  it('does not quote what a validator says of a field at a path', () => {
    const errors = [
      { path: 'items[0]["a b"].pin', rule: 'isPin', message: '1234 is no pin', received: 'string' },
      { path: 'note', rule: 'matches', message: 'note must not be 1234', received: 'string' },
    ];
    const refused = new LoopstackError('PAYLOAD_INVALID', { workflow: 'Pay', summary: '1234 is no pin' }, { errors });
    const payload = { items: [{ 'a b': { pin: '1234' } }], note: '1234' };
    const error = redactor({ paths: ['items.*.a b.pin'] }).error(refused, payload, RUN);
    expect(JSON.stringify([error.message, error.errors])).not.toContain('1234');
    expect(error.errors.map(({ path, rule }) => [path, rule])).toEqual([
      ['items[0]["a b"].pin', 'isPin'],
      ['note', 'matches'],
    ]);
  });

  it('does not quote a body that cannot be read', () => {
    const unreadable = new LoopstackError('BODY_NOT_IJSON', { reason: 'the number 12345678901234567890' });
    expect(redactor({ paths: ['pin'] }).error(unreadable, undefined, RUN).message).not.toContain('1234567');
  });
});
