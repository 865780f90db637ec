import fc from 'fast-check';
import { decodeRunCommand, encodeJson, encodeRunCommand, isUserId, messageId, runIdOf, type RunCommand } from './command.js';
import { LoopstackError, type ErrorCode } from '../error.js';
import { HEADER, headerReader, type Headers } from './header.js';
import { keyedRunId, sequenceRunId } from '../names/run-id.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const decodeText = (text: string, headers: Headers = {}): unknown => decodeRunCommand(bytes(text), headerReader(headers));

function codeOf(act: () => unknown): ErrorCode | 'none' {
  try {
    act();
    return 'none';
  } catch (error) {
    if (error instanceof LoopstackError) return error.code;
    throw error;
  }
}

const user = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }).filter(isUserId);

describe('the body of a run command', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), user, (payload, userId) => {
        // What JSON itself cannot tell apart (-0) is no concern of the codec.
        const expected = JSON.parse(JSON.stringify(payload)) as unknown;
        expect(decodeRunCommand(encodeRunCommand({ payload, userId }))).toEqual({ payload: expected, userId });
      }),
      { numRuns: 1000 },
    );
  });

  it('is refused by the producer if the worker would refuse it, and only then', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withUnicodeString: true,
      maxDepth: 5,
    });
    const awkward = fc.oneof(
      anything,
      fc.double(),
      fc.maxSafeInteger().map((n) => n * 1024),
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('\ud800', '\udc00', 'a', '1234567890123456789', '{', '[', '1e+30'), { maxLength: 5 })
        .map((parts) => parts.join('')),
      fc.integer({ min: 1, max: 200 }).map(nested),
    );
    fc.assert(
      fc.property(fc.oneof(awkward, fc.dictionary(fc.string({ unit: 'binary' }), awkward)), (payload) => {
        let encoded: Uint8Array;
        try {
          encoded = encodeRunCommand({ payload, userId: 'u' });
        } catch (error) {
          expect(error).toMatchObject({ code: 'PAYLOAD_UNSERIALIZABLE' });
          // The same value, written without the producer's check, is refused by the worker, or is no JSON at all.
          if (codeOf(() => encodeJson({ payload, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE', {})) === 'none') {
            expect(codeOf(() => decodeRunCommand(encodeJson({ payload, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE', {})))).not.toBe('none');
          }
          return;
        }
        expect(codeOf(() => decodeRunCommand(encoded))).toBe('none');
      }),
      { numRuns: 1500 },
    );
  });

  it('is never more than refused, whatever its bytes and headers are', () => {
    const word = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '\\u',
      'd800',
      'null',
      'true',
      '1',
      '1e999',
      '"payload"',
      '"userId"',
      '"pattern"',
      '"data"',
      '"specversion"',
      '"__proto__"',
      ' ',
    );
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(word, { maxLength: 60 }).map((words) => bytes(words.join(''))),
      fc.json({ maxDepth: 4 }).map(bytes),
      fc
        .jsonValue()
        .map((value) =>
          bytes(
            JSON.stringify({ payload: value, userId: value, specversion: '1.0', source: value, id: value, data: value, pattern: value }),
          ),
        ),
    );
    const headers = fc.dictionary(fc.constantFrom('ce-specversion', 'ce-id', 'ce-source', 'ce-userid'), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(body, headers, (data, given) => {
        codeOf(() => decodeRunCommand(data, headerReader(given)));
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, ErrorCode, string]>([
    ['nothing', 'BODY_NOT_JSON', ''],
    ['null', 'COMMAND_INVALID', 'null'],
    ['a list', 'COMMAND_INVALID', '[]'],
    ['no user', 'COMMAND_INVALID', '{"payload":{}}'],
    ['an empty user', 'COMMAND_INVALID', '{"payload":{},"userId":""}'],
    ['a user of 257 characters', 'COMMAND_INVALID', `{"userId":"${'u'.repeat(257)}"}`],
    ['an unknown field', 'COMMAND_INVALID', '{"userId":"u","payloads":{}}'],
    ['a key twice', 'BODY_NOT_IJSON', '{"userId":"u","userId":"v"}'],
    ['a key twice, escaped', 'BODY_NOT_IJSON', '{"userId":"u","user\\u0049d":"v"}'],
    ['a lone surrogate', 'BODY_NOT_IJSON', '{"userId":"u","payload":"\\ud800"}'],
    ['an integer beyond 2^53', 'BODY_NOT_IJSON', '{"userId":"u","payload":9007199254740993}'],
    ['a number beyond the doubles', 'BODY_NOT_IJSON', '{"userId":"u","payload":1e999}'],
    ['65 levels', 'BODY_TOO_DEEP', `{"userId":"u","payload":${'['.repeat(64)}${']'.repeat(64)}}`],
    ['100,000 levels', 'BODY_TOO_DEEP', '['.repeat(100_000)],
  ])('with %s is %s', (_, code, text) => {
    expect(codeOf(() => decodeText(text))).toBe(code);
  });

  it('is no UTF-8: refused', () => {
    expect(codeOf(() => decodeRunCommand(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('BODY_NOT_UTF8');
    expect(codeOf(() => decodeRunCommand(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)))).toBe('BODY_NOT_JSON');
  });

  it('has 64 levels: read', () => {
    expect(decodeText(`{"userId":"u","payload":${'['.repeat(63)}${']'.repeat(63)}}`)).toMatchObject({ userId: 'u' });
  });

  it('without a payload has an empty one; with null has null', () => {
    expect(decodeText('{"userId":"u"}')).toEqual({ payload: {}, userId: 'u' });
    expect(decodeText('{"userId":"u","payload":null}')).toEqual({ payload: null, userId: 'u' });
    expect(decodeRunCommand(encodeRunCommand({ payload: undefined, userId: 'u' }))).toEqual({ payload: {}, userId: 'u' });
  });

  it("is understood in the packet of Nest's client", () => {
    expect(decodeText('{"pattern":"x","data":{"payload":{"a":1},"userId":"u"},"id":"7"}')).toEqual({ payload: { a: 1 }, userId: 'u' });
  });

  it.each(['a\u0000b', 'a\nb', 'a\u009fb', '\ud800'])('is refused as a CloudEvent whose source or id is %j', (text) => {
    const event = { specversion: '1.0', type: 't', source: '/s', id: '1', userid: 'u1' };
    for (const wrong of ['source', 'id']) {
      // An escape of a lone surrogate is refused before.
      const code = text.isWellFormed() ? 'COMMAND_INVALID' : 'BODY_NOT_IJSON';
      expect(() => decodeRunCommand(Buffer.from(JSON.stringify({ ...event, [wrong]: text })))).toThrow(expect.objectContaining({ code }));
      const headers = headerReader({
        'ce-specversion': '1.0',
        'ce-source': '/s',
        'ce-id': '1',
        'ce-userid': 'u1',
        [`ce-${wrong}`]: 'a%00b',
      });
      expect(() => decodeRunCommand(Buffer.from('{}'), headers)).toThrow(expect.objectContaining({ code: 'COMMAND_INVALID' }));
    }
  });

  it('is understood as a CloudEvent, structured and binary, whose source and id are the key', () => {
    const expected = { payload: { a: 1 }, userId: 'ü', idempotencyKey: '/s\0i' };
    expect(decodeText('{"specversion":"1.0","source":"/s","id":"i","type":"t","userid":"ü","data":{"a":1}}')).toEqual(expected);
    expect(decodeText('{"a":1}', { 'ce-specversion': '1.0', 'ce-source': '/s', 'ce-id': 'i', 'ce-userid': '%C3%BC' })).toEqual(expected);
    expect(codeOf(() => decodeText('{"specversion":"1.0","source":"/s","userid":"u"}'))).toBe('COMMAND_INVALID');
    expect(codeOf(() => decodeText('{"specversion":"1.0","source":"/s","id":"i","userid":"u","data_base64":"AA=="}'))).toBe(
      'COMMAND_INVALID',
    );
  });
});

describe('encoding a run command', () => {
  it.each<[string, RunCommand, ErrorCode]>([
    ['BigInt', { payload: { n: 1n }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a lone surrogate', { payload: { n: 'a\ud800' }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['too many levels', { payload: nested(64), userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a cycle', { payload: cycle(), userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a toJSON that throws', { payload: { toJSON: () => Promise.reject.call(undefined) }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a Map', { payload: { rates: new Map() }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a Set as a whole', { payload: new Set(), userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['an Error', { payload: { items: [new Error('x')] }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['NaN', { payload: { n: Number.NaN }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['NaN as a whole', { payload: Number.NaN, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a function as a whole', { payload: () => 1, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a method', { payload: { run() {} }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['a symbol', { payload: { s: Symbol('s') }, userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['an invalid Date', { payload: [new Date('x')], userId: 'u' }, 'PAYLOAD_UNSERIALIZABLE'],
    ['no user', { payload: {}, userId: undefined as unknown as string }, 'USER_MISSING'],
    ['a user with a lone surrogate', { payload: {}, userId: '\ud800' }, 'USER_MISSING'],
  ])('refuses %s', (_, command, code) => {
    expect(codeOf(() => encodeRunCommand(command))).toBe(code);
  });

  it('names the path, the type and the remedy of what JSON would lose', () => {
    const payload = { order: { items: [{ tags: new Set(['a']) }] } };
    expect(() => encodeRunCommand({ payload, userId: 'u' })).toThrow(
      expect.objectContaining({
        message: 'The payload cannot be written as JSON: order.items[0].tags is a Set: pass an array ([...set])',
        details: expect.objectContaining({ path: 'order.items[0].tags', type: 'a Set' }) as object,
      }) as Error,
    );
  });

  it('takes what a double can be, strings that only look like large numbers, and 63 levels', () => {
    const payload = { numbers: [2 ** 60, 1e22, -0.1], text: '12345678901234567890 \\ud800 1e+30', deep: nested(62) };
    expect(decodeRunCommand(encodeRunCommand({ payload, userId: 'u' })).payload).toEqual(payload);
  });
});

describe('the id of a stored command', () => {
  const address = { workspace: 'W', workflow: 'F' };
  const stored = { sequence: 7, timeMs: 1_700_000_000_000 };

  it('is that of its header, of its key, or derived, in this order', () => {
    expect(runIdOf(address, stored, 'mine', 'key')).toBe('mine');
    expect(runIdOf(address, stored, undefined, 'key')).toBe(keyedRunId('W', 'F', 'key'));
    expect(runIdOf(address, stored, undefined, undefined)).toBe(sequenceRunId(stored.timeMs, 7));
  });

  it.each(['a.b', '', '*', 'a b', 'x'.repeat(65)])('is refused where the header is %j', (header) => {
    expect(codeOf(() => runIdOf(address, stored, header, undefined))).toBe('NAME_INVALID');
  });

  it('makes a message id with its address', () => {
    expect(messageId(address, 'r1')).toBe('W.F:r1');
    expect(HEADER.MSG_ID).toBe('Nats-Msg-Id');
  });
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

function cycle(): unknown {
  const value: Record<string, unknown> = {};
  value['self'] = value;
  return value;
}

describe('a payload of many members', () => {
  const members = (count: number): Record<string, number> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 0]));

  it('is refused where a worker would refuse it', () => {
    const userId = 'u1';
    const most = members(4096);
    expect(decodeRunCommand(encodeRunCommand({ payload: most, userId })).payload).toEqual(most);
    // Several objects may have more between them, and so may text.
    const several = { a: members(3000), b: members(3000), c: ':'.repeat(50_000) };
    expect(decodeRunCommand(encodeRunCommand({ payload: several, userId })).payload).toEqual(several);
    for (const payload of [members(4097), { a: [{ b: members(5000) }] }]) {
      expect(() => encodeRunCommand({ payload, userId })).toThrow(expect.objectContaining({ code: 'PAYLOAD_UNSERIALIZABLE' }) as Error);
    }
  });
});
