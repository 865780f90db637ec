import { isUserId } from './command.js';
import type { ErrorCode, FieldError } from '../error.js';
import type { RunAddress } from '../names/subject.js';
import { printable, unfitText } from '../value/text.js';

/**
 * Run events: one message per transition, on the event subject of the run. The last message of the subject is the
 * state of the run, the subject is its history. An outcome is recorded once: its publisher demands that the subject
 * is where it last saw it, so of two workers that ran the same command only the first outcome stands. A new type of
 * event, or a new status, is a line of this table.
 */
export const RUN_EVENTS = {
  queued: { status: 'queued', isOutcome: false, meaning: 'stored, and waiting' },
  started: { status: 'running', isOutcome: false, meaning: 'a worker has taken it' },
  progress: { status: 'running', isOutcome: false, meaning: 'the workflow says how far it is' },
  retrying: { status: 'retrying', isOutcome: false, meaning: 'an attempt failed, another one follows' },
  succeeded: { status: 'succeeded', isOutcome: true, meaning: 'the workflow has returned' },
  failed: { status: 'failed', isOutcome: true, meaning: 'given up; there is a dead letter' },
  canceled: { status: 'canceled', isOutcome: true, meaning: 'canceled' },
  expired: { status: 'expired', isOutcome: true, meaning: 'not started before its deadline' },
} as const satisfies Readonly<Record<string, RunEventKind>>;

interface RunEventKind {
  /** Of a run whose last event this is. */
  readonly status: string;
  /** It ends the run. */
  readonly isOutcome: boolean;
  /** For readers of the contract. */
  readonly meaning: string;
}

export type RunEventType = keyof typeof RUN_EVENTS;
export type OutcomeType = { [T in RunEventType]: (typeof RUN_EVENTS)[T]['isOutcome'] extends true ? T : never }[RunEventType];
/** `queued` also for a run whose command is stored and that has no event yet. */
export type RunStatus = (typeof RUN_EVENTS)[RunEventType]['status'];

export const RUN_EVENT_TYPES = Object.keys(RUN_EVENTS) as readonly RunEventType[];
export const OUTCOMES = RUN_EVENT_TYPES.filter(isOutcome);
export const RUN_STATUSES: readonly RunStatus[] = [...new Set(RUN_EVENT_TYPES.map((type) => RUN_EVENTS[type].status))];

/** An error as it is recorded: no stack, control characters escaped, bounded. */
export interface RecordedError {
  /** A code of the catalogue, for errors of ours; HANDLER_FAILED for what a workflow threw. */
  readonly code: ErrorCode;
  /** Class name of what was thrown. */
  readonly name: string;
  readonly message: string;
  readonly errors?: readonly FieldError[];
}

/** Workers have refused the payload of a run, and another release that runs may take it. */
export interface Refusal {
  /** So far. */
  readonly count: number;
  /** Sum of the times after which the command was to come back: no clock is compared with another one. */
  readonly waitedMs: number;
  /** Ids of the contracts that refuse it. */
  readonly by: readonly string[];
}

export interface RunEvent {
  readonly type: RunEventType;
  /** ISO 8601, by the clock of the process that recorded it. */
  readonly at: string;
  /** Attempts started so far; 0 before the first. */
  readonly attempt: number;
  /** Sequence of the command in the runs stream. */
  readonly sequence?: number;
  /** Deliveries of the command when this was recorded; with `queued`. */
  readonly deliveries?: number;
  /** Return value of the workflow; absent for `undefined`. */
  readonly result?: unknown;
  readonly error?: RecordedError;
  /** ISO 8601; with `retrying`. */
  readonly nextAttemptAt?: string;
  /** With `progress`: what the workflow passed to `ctx.progress()`. */
  readonly progress?: unknown;
  /** With `started` and `progress`, of a last attempt after one that died untold: other such attempts run in the process. */
  readonly beside?: true;
  /** Name of the process that recorded it. */
  readonly worker?: string;
  /** With `queued`: the run waits for a worker of another release. */
  readonly refusal?: Refusal;
  /** On whose behalf the run is; with an outcome. */
  readonly userId?: string;
  /** With an outcome, where the command carried them. */
  readonly correlationId?: string;
  readonly causeDepth?: number;
  /** Of a run with an idempotency key: what it is asked to do (`contentOf`). */
  readonly content?: string;
  /** With `queued` after a redrive: sequence of the dead letter. */
  readonly redriveOf?: number;
  /** With `queued` after a batch replay as the same run: the replay and the sequence in its source, `<id>:<sequence>`. */
  readonly replay?: string;
}

export function isOutcome(type: RunEventType): type is OutcomeType {
  return RUN_EVENTS[type].isOutcome;
}

export function isRunEventType(value: unknown): value is RunEventType {
  return typeof value === 'string' && Object.hasOwn(RUN_EVENTS, value);
}

/** The status of a run whose last event is `event`. */
export function statusOf(event: RunEvent | undefined): RunStatus {
  return event === undefined ? 'queued' : RUN_EVENTS[event.type].status;
}

/** A run as it stands. */
export interface RunInfo extends RunAddress {
  readonly id: string;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly userId?: string;
  /** ISO 8601; when the command was stored, where that is known. */
  readonly queuedAt?: string;
  /** ISO 8601; time of the last event. */
  readonly updatedAt?: string;
  readonly sequence?: number;
  readonly result?: unknown;
  readonly error?: RecordedError;
  readonly nextAttemptAt?: string;
}

const decoder = new TextDecoder();

export function encodeRunEvent(event: RunEvent): Uint8Array {
  return Buffer.from(JSON.stringify(event));
}

/** The event in a message, or undefined for one that is none: a stranger's message must not stop a reader. */
export function decodeRunEvent(bytes: Uint8Array): RunEvent | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return isRunEvent(value) ? onOneLine(value) : undefined;
  } catch {
    return undefined;
  }
}

const COUNTS = ['sequence', 'deliveries', 'causeDepth', 'redriveOf'] as const satisfies readonly (keyof RunEvent)[];
const TEXTS = ['nextAttemptAt', 'worker', 'userId', 'correlationId', 'replay', 'content'] as const satisfies readonly (keyof RunEvent)[];

/** Decisions are made on events, so each field that one has is of its type: else it is a stranger's message that looks like one. */
function isRunEvent(value: unknown): value is RunEvent {
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Record<keyof RunEvent, unknown>;
  return (
    isRunEventType(event.type) &&
    typeof event.at === 'string' &&
    !Number.isNaN(Date.parse(event.at)) &&
    isCount(event.attempt) &&
    (event.attempt as number) <= MAX_ATTEMPT &&
    COUNTS.every((field) => event[field] === undefined || isCount(event[field])) &&
    (event.beside === undefined || event.beside === true) &&
    TEXTS.every((field) => event[field] === undefined || typeof event[field] === 'string') &&
    (event.refusal === undefined || isRefusal(event.refusal)) &&
    (event.error === undefined || isRecordedError(event.error))
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** More than a policy allows: the next one is a count, too. */
const MAX_ATTEMPT = 2 ** 32;
/** A code of the catalogue, or of that of a later release. It becomes a header of a dead letter. */
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;
/** Contracts that refuse a run: their ids are recorded again with each refusal. */
const MAX_CONTRACTS = 256;
const MAX_CONTRACT_ID = 128;

function isRecordedError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { code, name, message, errors } = value as Record<keyof RecordedError, unknown>;
  return (
    typeof code === 'string' &&
    CODE.test(code) &&
    typeof name === 'string' &&
    typeof message === 'string' &&
    (errors === undefined || isFieldErrors(errors))
  );
}

/** Whether these are errors of fields, as far as anything is made of them. */
export function isFieldErrors(value: unknown): value is readonly FieldError[] {
  return Array.isArray(value) && value.every(isFieldError);
}

function isFieldError(value: unknown): value is FieldError {
  if (typeof value !== 'object' || value === null) return false;
  const { path, message } = value as Record<keyof FieldError, unknown>;
  return typeof path === 'string' && typeof message === 'string';
}

function isRefusal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { count, waitedMs, by } = value as Record<keyof Refusal, unknown>;
  return (
    isCount(count) &&
    typeof waitedMs === 'number' &&
    Array.isArray(by) &&
    by.length <= MAX_CONTRACTS &&
    by.every((id) => typeof id === 'string' && id.length <= MAX_CONTRACT_ID)
  );
}

const MAX_CORRELATION_ID = 256;

/** Puts on one line what is logged of an event and passed on to other runs: not only workers may write events of a workspace. */
function onOneLine(event: RunEvent): RunEvent {
  const { userId, correlationId, error, ...rest } = event;
  if (
    error === undefined &&
    (userId === undefined || isUserId(userId)) &&
    (correlationId === undefined || unfitText(correlationId) === undefined)
  )
    return event;
  return {
    ...rest,
    ...(isUserId(userId) ? { userId } : {}),
    ...(correlationId === undefined ? {} : { correlationId: printable(correlationId, MAX_CORRELATION_ID) }),
    ...(error === undefined ? {} : { error: { ...error, name: printable(error.name), message: printable(error.message) } }),
  };
}
