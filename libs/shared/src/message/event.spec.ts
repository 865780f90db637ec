import fc from 'fast-check';
import {
  OUTCOMES,
  RUN_EVENT_TYPES,
  RUN_STATUSES,
  decodeRunEvent,
  encodeRunEvent,
  isOutcome,
  statusOf,
  type RunEvent,
  type RunEventType,
  type RunStatus,
} from './event.js';

describe('run events', () => {
  it('are read back as they were written', () => {
    const event: fc.Arbitrary<RunEvent> = fc.record(
      {
        type: fc.constantFrom(...RUN_EVENT_TYPES),
        at: fc.constant('2026-01-01T00:00:00.000Z'),
        attempt: fc.nat(),
        sequence: fc.nat(),
        result: fc.jsonValue(),
        worker: fc.string(),
      },
      { requiredKeys: ['type', 'at', 'attempt'] },
    );
    fc.assert(fc.property(event, (given) => expect(decodeRunEvent(encodeRunEvent(given))).toEqual(JSON.parse(JSON.stringify(given)))));
  });

  it('are undefined for anything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          const event = decodeRunEvent(bytes);
          if (event) expect(RUN_EVENT_TYPES).toContain(event.type);
        },
      ),
      { numRuns: 2000 },
    );
    const told = { type: 'started', at: '2026-01-01T00:00:00.000Z', attempt: 1 };
    const error = { code: 'HANDLER_FAILED', name: 'Error', message: 'no' };
    const refusal = { count: 1, waitedMs: 250, by: ['c'] };
    const errors = [{ path: 'a', rule: 'isString', message: 'a must be a string', received: 'number' }];
    expect(decodeRunEvent(Buffer.from(JSON.stringify({ ...told, refusal, error: { ...error, errors } })))).toBeDefined();
    for (const wrong of [
      ...[-1, 0.5, '1', null, true, 2 ** 60, Number.MAX_SAFE_INTEGER].map((attempt) => ({ attempt })),
      ...['soon', 5, null].map((at) => ({ at })),
      ...['sequence', 'deliveries', 'causeDepth', 'redriveOf'].flatMap((field) => ['1', -1, null].map((value) => ({ [field]: value }))),
      ...['worker', 'userId', 'correlationId', 'replay', 'nextAttemptAt'].flatMap((field) =>
        [1, null, {}].map((value) => ({ [field]: value })),
      ),
      ...['no', null, {}, { ...error, code: 1 }, { ...error, errors: {} }].map((value) => ({ error: value })),
      ...['constructor', '__proto__', '', 'A\nB', 'A B', 'X'.repeat(65)].map((code) => ({ error: { ...error, code } })),
      ...[null, 5, {}, { path: 1, message: 'm' }, { path: 'a' }].map((field) => ({ error: { ...error, errors: [field] } })),
      ...[
        'no',
        null,
        {},
        { ...refusal, by: 'c' },
        { ...refusal, by: [5] },
        { ...refusal, by: Array(300).fill('c') },
        { ...refusal, count: -1 },
      ].map((value) => ({ refusal: value })),
    ]) {
      expect([wrong, decodeRunEvent(Buffer.from(JSON.stringify({ ...told, ...wrong })))]).toEqual([wrong, undefined]);
    }
    for (const text of ['{"type":"toString","at":"x","attempt":1}', '{"type":"started"}', 'null', '[]', '']) {
      expect(decodeRunEvent(new TextEncoder().encode(text))).toBeUndefined();
    }
  });

  /** Does not compile without a line for each type of event. */
  const meanings = {
    queued: ['queued', false],
    started: ['running', false],
    progress: ['running', false],
    retrying: ['retrying', false],
    succeeded: ['succeeded', true],
    failed: ['failed', true],
    canceled: ['canceled', true],
    expired: ['expired', true],
  } satisfies Record<RunEventType, [RunStatus, boolean]>;

  it.each([[undefined, 'queued', false], ...RUN_EVENT_TYPES.map((type) => [type, ...meanings[type]] as const)] as const)(
    '%s means %s',
    (type, status, outcome) => {
      expect(statusOf(type && { type, at: '', attempt: 1 })).toBe(status);
      if (type) expect(isOutcome(type)).toBe(outcome);
    },
  );

  it('have the statuses and outcomes that clients may filter by', () => {
    expect(RUN_STATUSES).toEqual(['queued', 'running', 'retrying', 'succeeded', 'failed', 'canceled', 'expired']);
    expect(OUTCOMES).toEqual(['succeeded', 'failed', 'canceled', 'expired']);
  });
});

describe('an event that somebody else may have written', () => {
  const read = (more: object): RunEvent | undefined =>
    decodeRunEvent(Buffer.from(JSON.stringify({ type: 'failed', at: '2026-01-01T00:00:00.000Z', attempt: 1, ...more })));
  const forged = 'x\n2031 ok\u001b[0m\u202e';

  it('has no user, correlation id or error that makes a line of a log', () => {
    expect(read({ userId: forged })).not.toHaveProperty('userId');
    expect(read({ correlationId: forged })?.correlationId).toBe('x\\u000a2031 ok\\u001b[0m\\u202e');
    expect(read({ error: { code: 'HANDLER_FAILED', name: forged, message: forged } })?.error?.message).toBe(
      'x\\u000a2031 ok\\u001b[0m\\u202e',
    );
  });

  it('is otherwise as it was recorded', () => {
    const error = { code: 'HANDLER_FAILED', name: 'Error', message: 'no', errors: [] };
    expect(read({ userId: 'Ünal', correlationId: 'c 1', error, result: forged })).toMatchObject({
      userId: 'Ünal',
      correlationId: 'c 1',
      error,
      result: forged,
    });
  });
});
