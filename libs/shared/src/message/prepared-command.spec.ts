import { localMs } from '../value/clock.js';
import { decodeRunCommand } from './command.js';
import type { ErrorCode, LoopstackError } from '../error.js';
import { HEADER } from './header.js';
import { prepareCommand, type PreparedCommand, type Producing } from './prepared-command.js';
import { keyedRunId, runIdOrigin, runIdTime } from '../names/run-id.js';
import type { RunOptions } from '../run/run.js';
import { wireNames } from '../names/subject.js';

const PRODUCING: Producing = {
  names: wireNames(),
  clock: { nowMs: localMs, need: () => undefined },
  publishTimeoutMs: 5000,
  context: undefined,
  sign: undefined,
};

const prepare = (options?: RunOptions, producing: Partial<Producing> = {}, payload: unknown = { n: 1 }): PreparedCommand =>
  prepareCommand({ ...PRODUCING, ...producing }, 'F', 'W', payload, 'u1', options);

const lines = (command: PreparedCommand): Record<string, string> =>
  Object.fromEntries(
    command.lines
      .split('\r\n')
      .filter(Boolean)
      .map((line) => line.split(': ') as [string, string]),
  );

function codeOf(act: () => unknown): ErrorCode | 'none' {
  try {
    act();
    return 'none';
  } catch (error) {
    return (error as LoopstackError).code;
  }
}

describe('a prepared command', () => {
  it.each([
    [{ at: new Date(8.64e15) }],
    [{ at: new Date('-000001-01-01T00:00:00Z') }],
    [{ at: new Date(Number.NaN) }],
    [{ delay: 2 ** 48 }],
    [{ expiresIn: 2 ** 48 }],
    [{ headers: 'abc' }],
    [{ headers: ['abc'] }],
    [{ headers: { 'ce-specversion': '1.0' } }],
    [{ headers: { 'CE-SpecVersion': '1.0' } }],
    [{ headers: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`x-${i}`, ''])) }],
    [null],
    ['abc'],
  ] as unknown as [RunOptions][])('refuses what the server or the worker would misread: %j', (options) => {
    expect(codeOf(() => prepare(options))).toBe('OPTION_INVALID');
  });

  it('takes the last time that it can write', () => {
    expect(prepare({ at: new Date('9999-12-31T23:59:59.999Z') }).dueMs).toBe(253_402_300_799_999);
  });

  it('has an id of its own, its subject, its message id, and the body', () => {
    const command = prepare();
    expect(command).toMatchObject({
      subject: 'loopstack.run.W.F',
      messageId: `W.F:${command.runId}`,
      timeoutMs: 5000,
      keyed: false,
      dueMs: undefined,
    });
    expect(runIdOrigin(command.runId)).toBe('producer');
    expect(lines(command)).toEqual({ [HEADER.RUN_ID]: command.runId });
    expect(decodeRunCommand(command.data)).toEqual({ payload: { n: 1 }, userId: 'u1' });
  });

  it('with a key has the id that the key names', () => {
    expect(prepare({ idempotencyKey: 'k' })).toMatchObject({ keyed: true, runId: keyedRunId('W', 'F', 'k') });
  });

  it('that is delayed has the time in its id', () => {
    const at = new Date(Date.now() + 60_000);
    const command = prepare({ at });
    expect([command.dueMs, runIdTime(command.runId)]).toEqual([at.getTime(), at.getTime()]);
  });

  it('has the headers of its options, of its surroundings and of its signature', () => {
    const signed: string[] = [];
    const command = prepare(
      { correlationId: 'c', headers: { 'X-A': 'b' }, priority: 'low', publishTimeout: '2s' },
      {
        names: wireNames('p'),
        context: () => ({ [HEADER.CAUSE]: 'run-1' }),
        sign: ({ subject, headers }) => {
          signed.push(`${subject} ${Object.keys(headers).join(' ')}`);
          return { 'X-Signature': 's' };
        },
      },
    );
    expect(lines(command)).toEqual({
      [HEADER.RUN_ID]: command.runId,
      [HEADER.CORRELATION_ID]: 'c',
      'X-A': 'b',
      [HEADER.CAUSE]: 'run-1',
      'X-Signature': 's',
    });
    const names = [HEADER.MSG_ID, HEADER.RUN_ID, HEADER.CORRELATION_ID, 'X-A', HEADER.CAUSE];
    expect(signed).toEqual([expect.stringMatching(/^p\.lane\.low\.W\.F /)]);
    expect(signed[0]?.split(' ').slice(1).sort()).toEqual(names.sort());
    expect(command.timeoutMs).toBe(2000);
  });

  it.each<[ErrorCode, RunOptions]>([
    ['OPTION_INVALID', { idempotencyKey: '' }],
    ['OPTION_INVALID', { idempotencyKey: '\ud800' }],
    ['OPTION_INVALID', { idempotencyKey: 5 as unknown as string }],
    ['OPTION_INVALID', { priority: 'urgent' as 'high' }],
    ['OPTION_INVALID', { at: new Date('no date') }],
    ['OPTION_INVALID', { at: '2030-01-01' as unknown as Date }],
    ['OPTION_INVALID', { delay: 8.7e15 }],
    ['OPTION_INVALID', { expiresIn: 8.7e15 }],
    ['OPTION_INVALID', { correlationId: 'a\nb' }],
    ['OPTION_INVALID', { headers: { 'Loopstack-Run-Id': 'mine' } }],
    ['OPTION_INVALID', { headers: { 'nats-msg-id': 'mine' } }],
    ['OPTION_INVALID', { headers: { 'a b': 'c' } }],
    ['OPTION_INVALID', { headers: { a: 5 as unknown as string } }],
  ])('is refused with %s for %j', (code, options) => {
    expect(codeOf(() => prepare(options))).toBe(code);
  });
});
