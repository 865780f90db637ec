import { originOf, type PreparedRun } from '@loopstack/core';
import { HEADER, encodeRunEvent } from '@loopstack/shared';
import { encodeSuccess } from './success-event.js';

const AT = '2026-01-02T03:04:05.678Z';

function runOf(content: string | undefined, userId: string | undefined, headers: Readonly<Record<string, string>> = {}): PreparedRun {
  const delivery = { sequence: 7, headers: { get: (name: string) => headers[name] } };
  const command = userId === undefined ? undefined : { payload: {}, userId };
  return { runId: 'r', delivery, command, content } as unknown as PreparedRun;
}

describe('the event of a success, written by hand', () => {
  it.each([
    ['a run', runOf(undefined, 'u'), { sum: 3 }],
    ['a run without a result', runOf(undefined, 'u'), undefined],
    ['a run with a result of null', runOf(undefined, 'u'), null],
    ['a run with an idempotency key', runOf('abc', 'u'), 'text with "quotes"'],
    ['a run that others have caused', runOf(undefined, 'u', { [HEADER.CORRELATION_ID]: 'c-1', [HEADER.CAUSE_DEPTH]: '2' }), [1]],
    ['a run without a user', runOf(undefined, undefined), 1],
  ])('is that of the encoder for %s', (_, run, result: unknown) => {
    const { content } = run;
    const event = { type: 'succeeded', at: AT, attempt: 2, sequence: 7, worker: 'host:1' } as const;
    const encoded = encodeRunEvent({ ...event, ...(content === undefined ? {} : { content }), ...originOf(run), result });
    const resultJson = JSON.stringify(result) as string | undefined;
    const written = encodeSuccess(run, { at: AT, attempt: 2, workerJson: '"host:1"', resultJson });
    expect(Buffer.from(written).toString()).toBe(Buffer.from(encoded).toString());
  });
});
