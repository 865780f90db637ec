import { HEADER, encodeRunCommand, headerReader, keyedRunId, type Headers } from '@loopstack/shared';
import { IsInt } from 'class-validator';
import type { RegisteredWorkflow } from '../declare/registry.js';
import type { RunContext } from './run-context.js';
import type { Delivery } from './prepare.js';
import { NonRetryableError, WorkflowRunner, type Execution } from './runner.js';
import type { Outcome } from './settle.js';
import { payloadValidator } from '../validation/payload-validator.js';
import { resolveWorkflowOptions, type WorkflowOptions } from '../declare/workflow.js';

class Payload {
  @IsInt() n!: number;
}

type Invoke = (payload: unknown, context: RunContext) => unknown;

function runner(invoke: Invoke, options: WorkflowOptions = {}): WorkflowRunner {
  const resolved = resolveWorkflowOptions('Flow', options);
  const entry: RegisteredWorkflow = {
    workspace: 'Space',
    workflow: 'Flow',
    type: class {} as never,
    instance: { run: invoke },
    moduleKey: undefined,
    options: resolved,
    validator: resolved.payload && payloadValidator(resolved.payload, resolved.unknownFields),
  };
  return new WorkflowRunner(entry, invoke, { maxDepth: 64, maxCauseDepth: 32 });
}

function delivery(body: Uint8Array | object, headers: Headers = {}, deliveries = 1): Delivery {
  const data = body instanceof Uint8Array ? body : encodeRunCommand({ payload: body, userId: 'u1' });
  return {
    subject: 'loopstack.run.Space.Flow',
    data,
    headers: { ...headerReader(headers), entries: () => Object.entries(headers) },
    sequence: 7,
    timeMs: 1_700_000_000_000,
    deliveries,
  };
}

function execute(subject: WorkflowRunner, given: Delivery, attempt = 1): Promise<Outcome> {
  return new Promise((resolve) => subject.execute(subject.prepare(given), attempt, undefined, resolve));
}

describe('preparing a command', () => {
  const subject = runner(() => undefined);

  it('names the run by its header, else by its key, else by where it is stored, the same at every delivery', () => {
    expect(subject.prepare(delivery({}, { [HEADER.RUN_ID]: 'mine' })).runId).toBe('mine');
    const event = new TextEncoder().encode('{"specversion":"1.0","id":"1","source":"/s","type":"t","userid":"u"}');
    expect(subject.prepare(delivery(event)).runId).toBe(keyedRunId('Space', 'Flow', '/s\u00001'));
    expect(subject.prepare(delivery({})).runId).toBe(subject.prepare(delivery({}, {}, 3)).runId);
  });

  it('looks at the history of a run only if it may have one', () => {
    const examined = (headers: Headers, deliveries = 1): boolean => subject.prepare(delivery({}, headers, deliveries)).examined;
    expect(examined({})).toBe(false);
    expect(examined({}, 2)).toBe(true);
    expect(examined({ [HEADER.REDRIVEN]: '1' })).toBe(true);
    expect(examined({ [HEADER.RUN_ID]: keyedRunId('Space', 'Flow', 'k') })).toBe(true);
  });

  it('keeps the error of a command that cannot be decoded, with an id to find it by', () => {
    const prepared = subject.prepare(delivery(new TextEncoder().encode('{')));
    expect(prepared.error?.code).toBe('BODY_NOT_JSON');
    expect(prepared.runId).toMatch(/^[0-9a-f-]{36}$/);
    expect(subject.prepare(delivery({}, { [HEADER.RUN_ID]: 'a.b' })).error?.code).toBe('NAME_INVALID');
  });
});

describe('executing a run', () => {
  it.each<readonly [string, Invoke, object]>([
    ['a value', () => ({ ok: 1 }), { kind: 'succeeded', json: '{"ok":1}' }],
    ['a promise', () => Promise.resolve('x'), { kind: 'succeeded', json: '"x"' }],
    ['nothing', () => undefined, { kind: 'succeeded', json: undefined }],
  ])('that returns %s has succeeded', async (_, invoke, expected) => {
    expect(await execute(runner(invoke), delivery({}))).toEqual(expected);
  });

  it.each<readonly [string, Invoke, RegExp, boolean]>([
    [
      'an error',
      () => {
        throw new TypeError('boom');
      },
      /Flow failed: TypeError: boom/,
      true,
    ],
    ['a rejection with undefined', () => Promise.reject(undefined), /it threw undefined/, true],
    ['a text', () => Promise.reject('text'), /it threw text/, true],
    ['something that no JSON can hold', () => Promise.reject({ n: 1n }), /it threw a object/, true],
    [
      'an error that says that another attempt is useless',
      () => {
        throw new NonRetryableError('no');
      },
      /NonRetryableError: no/,
      false,
    ],
    [
      'a message of several lines',
      () => {
        throw new Error('a\r\nb');
      },
      /a\\u000d\\u000ab/,
      true,
    ],
  ])('that throws %s has failed, and the error tells what was thrown', async (_, invoke, message, retryable) => {
    const outcome = await execute(runner(invoke), delivery({}));
    expect(outcome).toMatchObject({ kind: 'failed', retryable, error: { message: expect.stringMatching(message) } });
  });

  it('never calls the workflow with a payload that its class refuses', async () => {
    let called = false;
    const subject = runner(() => (called = true), { payload: Payload });
    const outcome = await execute(subject, delivery({ n: 'x' }));
    expect(outcome).toMatchObject({ kind: 'invalid', error: { code: 'PAYLOAD_INVALID', errors: [{ path: 'n' }] } });
    expect(called).toBe(false);
  });

  it('hands the workflow an instance of its payload class, and a context', async () => {
    let seen: unknown[] = [];
    await execute(
      runner(
        (payload, context) => {
          seen = [payload, context.runId, context.attempt, context.redelivered, context.userId];
        },
        { payload: Payload },
      ),
      delivery({ n: 1 }, { [HEADER.RUN_ID]: 'r' }, 2),
      2,
    );
    expect(seen[0]).toBeInstanceOf(Payload);
    expect(seen.slice(1)).toEqual(['r', 2, true, 'u1']);
  });

  it('that never settles times out: its signal is aborted, and what it does later has no effect', async () => {
    let signal: AbortSignal | undefined;
    let reject: (error: Error) => void = () => undefined;
    const subject = runner(
      (_, context) => {
        signal = context.signal;
        return new Promise((_resolve, fail) => (reject = fail));
      },
      { timeout: '20ms' },
    );
    expect(await execute(subject, delivery({}))).toMatchObject({ kind: 'timeout', error: { code: 'HANDLER_TIMEOUT' } });
    expect(signal?.aborted).toBe(true);
    reject(new Error('late'));
    expect(subject.active).toEqual([]);
  });

  it('ends once: by an abort, or by its outcome, whichever is first', () => {
    const outcomes: Outcome[] = [];
    const subject = runner(() => new Promise(() => undefined));
    const execution: Execution = subject.execute(subject.prepare(delivery({})), 1, undefined, (outcome) => outcomes.push(outcome));
    execution.abort('canceled');
    execution.abort('shutdown');
    expect(outcomes).toEqual([{ kind: 'canceled' }]);
  });

  it('fails for good with a result that is too large or no JSON', async () => {
    const large = await execute(
      runner(() => 'x'.repeat(200), { resultLimit: 100 }),
      delivery({}),
    );
    expect(large).toMatchObject({
      kind: 'failed',
      retryable: false,
      error: { code: 'RESULT_TOO_LARGE', details: { bytes: 202, limit: 100 } },
    });
    expect(
      await execute(
        runner(() => 1n),
        delivery({}),
      ),
    ).toMatchObject({ kind: 'failed', retryable: false, error: { code: 'RESULT_UNSERIALIZABLE' } });
  });
});
