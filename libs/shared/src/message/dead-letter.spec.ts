import fc from 'fast-check';
import { isUserId } from './command.js';
import { DEAD_REASONS, deadLetterHeaders, readDeadLetter, type DeadLetterFacts } from './dead-letter.js';
import { HEADER, headerReader, type HeaderReader, type Headers } from './header.js';

const address = { workspace: 'W', workflow: 'F' };
const text = fc.string({ unit: 'binary', maxLength: 40 });
const printableAscii = fc.stringMatching(/^[!-~]([ -~]{0,18}[!-~])?$/);
const headerName = fc.oneof(
  fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,15}$/),
  fc.constantFrom('Nats-Msg-Id', 'nats-expected-stream', 'Nats-Rollup', 'traceparent'),
);

const facts: fc.Arbitrary<DeadLetterFacts> = fc.record(
  {
    reason: fc.constantFrom(...DEAD_REASONS),
    code: fc.constantFrom('PAYLOAD_INVALID', 'HANDLER_FAILED', 'WORKER_DIED'),
    message: text,
    errors: fc.array(fc.record({ path: text, rule: fc.constant('isInt'), message: text, received: fc.constant('string') }), {
      minLength: 1,
      maxLength: 5,
    }),
    attempts: fc.nat(),
    runId: fc.uuid(),
    userId: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter(isUserId),
    stream: fc.constant('LOOPSTACK_RUNS'),
    sequence: fc.integer({ min: 1 }),
    subject: fc.oneof(fc.constant('loopstack.run.W.F'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })),
    time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString()),
  },
  { requiredKeys: ['reason', 'code', 'message', 'attempts', 'runId', 'stream', 'sequence', 'subject', 'time'] },
);

/** As a message carries headers: each value on its line, ends trimmed. */
function overTheWire(headers: Headers): HeaderReader & Iterable<readonly [string, string]> {
  const entries = Object.entries(headers).map(([name, value]) => [name, value.trim()] as const);
  return { ...headerReader(Object.fromEntries(entries)), [Symbol.iterator]: () => entries[Symbol.iterator]() };
}

describe('dead letters', () => {
  it('are read back with their facts, their headers and their body', () => {
    fc.assert(
      fc.property(
        facts,
        fc.dictionary(headerName, printableAscii, { maxKeys: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        (given, original, body) => {
          const letter = readDeadLetter(address, 9, overTheWire(deadLetterHeaders(given, Object.entries(original))), body);
          expect(letter).toMatchObject({
            ...address,
            deadSequence: 9,
            reason: given.reason,
            code: given.code,
            attempts: given.attempts,
            runId: given.runId,
          });
          expect(letter).toMatchObject({ stream: given.stream, sequence: given.sequence, time: given.time, redriven: 0 });
          expect(letter?.userId).toBe(given.userId);
          expect(letter?.errors?.length ?? 0).toBe(given.errors?.length ?? 0);
          expect(letter?.body).toEqual(body);
          for (const [name, value] of Object.entries(original)) expect(letter?.headers[name]).toBe(value);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('have headers of printable ASCII on one line, and none that the server would act on', () => {
    fc.assert(
      fc.property(facts, fc.dictionary(headerName, printableAscii, { maxKeys: 5 }), (given, original) => {
        for (const [name, value] of Object.entries(deadLetterHeaders(given, Object.entries(original)))) {
          expect(name).toMatch(/^[!-9;-~]+$/);
          expect(value).toMatch(/^[ -~]*$/);
          expect(name).not.toMatch(/^nats-/i);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('stay within the bounds of headers, whatever errors they tell', () => {
    const errors = Array.from({ length: 5000 }, (_, i) => ({
      path: `items[${i}]`,
      rule: 'isInt',
      message: 'x'.repeat(1000),
      received: 'string',
    }));
    const headers = deadLetterHeaders({ ...sample(), message: 'y'.repeat(100_000), errors }, []);
    expect(Object.values(headers).join('').length).toBeLessThan(32 * 1024);
    expect(JSON.parse(headers[HEADER.DEAD_ERRORS] as string)).not.toEqual([]);
  });

  it('have no body in the pointer form', () => {
    expect(readDeadLetter(address, 1, overTheWire(deadLetterHeaders(sample(), [], 'pointer')), new Uint8Array(3))?.body).toBeUndefined();
  });

  it('are undefined for messages that are none, and never a crash', () => {
    const name = fc.constantFrom(...Object.values(HEADER));
    fc.assert(
      fc.property(fc.dictionary(name, text), (headers) => {
        const letter = readDeadLetter(address, 1, overTheWire(headers), new Uint8Array(0));
        if (headers[HEADER.RUN_ID] === undefined || headers[HEADER.DEAD_REASON] === undefined) expect(letter).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  function sample(): DeadLetterFacts {
    const [given] = fc.sample(facts, { numRuns: 1, seed: 7 });
    return given as DeadLetterFacts;
  }
});
