import { encodeRunCommand, messageId } from './command.js';
import { durationMs } from '../value/duration.js';
import { invalidOption, refusedOption } from '../value/option.js';
import { headerLines, ownHeaderLines, signedLines } from './header-lines.js';
import { HEADER, MAX_OWN_HEADERS, type Headers } from './header.js';
import { keyedRunId, newRunId, newRunIdAt } from '../names/run-id.js';
import type { RunItem, RunOptions } from '../run/run.js';
import type { CommandSigner } from '../signing/signature.js';
import { PRIORITIES, assertName, type RunAddress, type WireNames } from '../names/subject.js';
import { unfitText } from '../value/text.js';

/** The clock that deadlines and schedules go by. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Another process will rely on a time that is made now. */
  need(): void;
}

/** What a producer makes commands with. */
export interface Producing {
  readonly names: WireNames;
  readonly clock: Clock;
  readonly publishTimeoutMs: number;
  /** Headers for each command from the surroundings of the call. */
  readonly context: (() => Headers | undefined) | undefined;
  readonly sign: CommandSigner | undefined;
}

/** A run command, ready to be written. */
export interface PreparedCommand extends RunAddress {
  readonly runId: string;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Header lines without those that only a message in the runs stream has (`Nats-Msg-Id`). */
  readonly lines: string;
  readonly messageId: string;
  readonly timeoutMs: number;
  /** The run id stands for an idempotency key. */
  readonly keyed: boolean;
  /** Milliseconds since the epoch; undefined: at once. */
  readonly dueMs: number | undefined;
}

/**
 * Headers that belong to the server and to us; a caller who could set them could forge causes and expectations. With
 * `ce-specversion` a worker would take the body, which is a run command, for the data of a CloudEvent.
 */
const RESERVED = /^(?:(?:nats|loopstack)-|ce-specversion$)/i;
const NO_OPTIONS: RunOptions = Object.freeze({});

/**
 * Checks a run and encodes it.
 * @throws LoopstackError NAME_INVALID, USER_MISSING, PAYLOAD_UNSERIALIZABLE, OPTION_INVALID
 */
// oxlint-disable-next-line max-params -- an object around them would be one more allocation of each run
export function prepareCommand(
  producer: Producing,
  workflow: string,
  workspace: string,
  payload: unknown,
  userId: string,
  options: RunOptions = NO_OPTIONS,
): PreparedCommand {
  if (options !== NO_OPTIONS) assertOptions(options);
  assertName('workspace', workspace);
  assertName('workflow', workflow);
  const address = { workspace, workflow };
  const data = encodeRunCommand({ payload, userId });
  const key = options.idempotencyKey;
  const nowMs = producer.clock.nowMs();
  if (isTimed(producer, options)) producer.clock.need();
  const dueMs = options === NO_OPTIONS ? undefined : startTime(options, nowMs);
  // A delayed command is stored when it is due: its id carries that time, so that it is found there.
  const runId =
    key !== undefined ? keyedRunId(workspace, workflow, checkedKey(key)) : dueMs === undefined ? newRunId(nowMs) : newRunIdAt(dueMs);
  const subject = producer.names.run(address, options.priority);
  const id = messageId(address, runId);
  let lines = `${HEADER.RUN_ID}: ${runId}\r\n`;
  if (options !== NO_OPTIONS) lines += optionLines(options, dueMs ?? nowMs);
  if (producer.context) {
    const context = producer.context();
    if (context) lines += headerLines(options.correlationId === undefined ? context : withoutCorrelation(context));
  }
  if (producer.sign) {
    // The server publishes a delayed command without a message id.
    const signed = dueMs === undefined ? { messageId: id } : { messageId: undefined, dueMs };
    lines = signedLines(producer.sign, lines, { subject, data, nowMs, ...signed });
  }
  const timeoutMs = options.publishTimeout === undefined ? producer.publishTimeoutMs : durationMs('publishTimeout', options.publishTimeout);
  return { workspace, workflow, runId, subject, data, lines, messageId: id, timeoutMs, keyed: key !== undefined, dueMs };
}

/**
 * As `prepareCommand`, for a command of an all-or-nothing batch.
 * @throws LoopstackError OPTION_INVALID for keys and delays, which cannot be part of a batch
 */
export function prepareBatchCommand(producer: Producing, { workflow, workspace, payload, userId, options }: RunItem): PreparedCommand {
  for (const option of ['idempotencyKey', 'delay', 'at'] as const) {
    if (options?.[option] !== undefined) {
      throw refusedOption(option, 'no such option in an all-or-nothing batch', typeof options[option]);
    }
  }
  return prepareCommand(producer, workflow, workspace, payload, userId, options);
}

/** Whether others will go by a time that the command carries, beside that of its id. */
export function isTimed({ sign }: Pick<Producing, 'sign'>, options: RunOptions | undefined): boolean {
  return (options?.delay ?? options?.at ?? options?.expiresIn) !== undefined || sign !== undefined;
}

function checkedKey(key: unknown): string {
  // Lone surrogates are all the same byte sequence to a hash.
  if (typeof key === 'string' && key !== '' && unfitText(key) === undefined) return key;
  throw invalidOption('idempotencyKey', 'a well-formed string that is not empty, without control characters', key);
}

const MAX_CORRELATION_ID = 256;

function checkedCorrelation(id: unknown): string {
  if (typeof id === 'string' && id !== '' && id.length <= MAX_CORRELATION_ID && id.trim() === id && unfitText(id) === undefined) return id;
  const expected = `a string of 1 to ${MAX_CORRELATION_ID} characters, without control characters or blanks around it`;
  throw invalidOption('correlationId', expected, id);
}

/** @throws LoopstackError OPTION_INVALID */
export function assertOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw invalidOption('options', 'an object', options);
}

function startTime({ delay, at }: RunOptions, nowMs: number): number | undefined {
  if (at !== undefined) {
    if (delay !== undefined) throw refusedOption('at', 'either delay or at', 'both');
    if (!(at instanceof Date) || Number.isNaN(at.getTime())) throw invalidOption('at', 'a valid Date', at);
    return dateMs('at', at.getTime());
  }
  return delay === undefined ? undefined : dateMs('delay', nowMs + durationMs('delay', delay));
}

/** Years of four digits: all that RFC 3339 can write, and within the 48 bits of a run id (RFC 9562, 5.7). */
const FIRST_DATE_MS = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_DATE_MS = Date.parse('9999-12-31T23:59:59.999Z');

function dateMs(option: string, ms: number): number {
  if (ms >= FIRST_DATE_MS && ms <= LAST_DATE_MS) return ms;
  throw refusedOption(option, 'a time in the years 0 to 9999', `${ms} ms since 1970`);
}

/** @param startMs when the command is stored: now, or when it is due */
function optionLines(options: RunOptions, startMs: number): string {
  const { headers, expiresIn, correlationId, priority } = options;
  let lines = '';
  if (priority !== undefined && !PRIORITIES.includes(priority)) throw invalidOption('priority', PRIORITIES.join(', '), priority);
  if (correlationId !== undefined) lines += `${HEADER.CORRELATION_ID}: ${checkedCorrelation(correlationId)}\r\n`;
  if (expiresIn !== undefined) {
    const expiresAt = new Date(dateMs('expiresIn', startMs + durationMs('expiresIn', expiresIn)));
    lines += `${HEADER.EXPIRES_AT}: ${expiresAt.toISOString()}\r\n`;
  }
  if (headers !== undefined) {
    lines += ownHeaderLines(headers);
    const reserved = Object.keys(headers).find((name) => RESERVED.test(name));
    if (reserved !== undefined) throw invalidOption('headers', 'names other than Nats-…, Loopstack-… and ce-specversion', reserved);
    const count = Object.keys(headers).length;
    if (count > MAX_OWN_HEADERS) {
      throw refusedOption('headers', `at most ${MAX_OWN_HEADERS}`, `${count}`);
    }
  }
  return lines;
}

function withoutCorrelation(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== HEADER.CORRELATION_ID));
}
