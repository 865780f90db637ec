import { type ErrorCode, type FieldError } from '../error.js';
import { printable } from '../value/text.js';
import { isUserId } from './command.js';
import { isFieldErrors } from './event.js';
import { HEADER, ORIGINAL_PREFIX, emptyHeaders, isServerHeader, type HeaderReader, type Headers } from './header.js';
import type { RunAddress } from '../names/subject.js';

/** Why a command became a dead letter. */
export const DEAD_REASONS = ['invalid', 'untrusted', 'failed', 'timeout', 'worker-died', 'unroutable'] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** What is known of a command that could not be done, beside its own bytes and headers. */
export interface DeadLetterFacts {
  readonly reason: DeadReason;
  readonly code: ErrorCode;
  readonly message: string;
  readonly errors?: readonly FieldError[];
  readonly attempts: number;
  readonly runId: string;
  readonly userId?: string;
  /** Durable name of the binding, where this is an event that a binding could not use and no command. */
  readonly binding?: string;
  /** Where the command, or the event, is stored. */
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  /** ISO 8601; when it was given up. */
  readonly time: string;
}

/** A dead letter as it is read back. */
export interface DeadLetter extends DeadLetterFacts, RunAddress {
  /** Sequence in the dead-letter stream; the name of the letter. */
  readonly deadSequence: number;
  /** The original headers, broker control headers under their own names. */
  readonly headers: Headers;
  /** The original body; undefined where the letter has none of it (read `stream` at `sequence`). */
  readonly body: Uint8Array | undefined;
  /** A copy of the body without what the worker's `redact` keeps out; empty where the body could not be read. */
  readonly redacted?: Uint8Array;
  readonly redriven: number;
}

/** What the body of a letter is: the original, nothing where it did not fit, or a copy without what is to be kept out. */
export type DeadLetterForm = 'full' | 'pointer' | 'redacted';

/** Bytes of field errors that a header may hold; the server accepts 64 KiB of headers in all. */
const MAX_ERRORS = 8 * 1024;
const MAX_MESSAGE = 1000;

const DEAD_HEADERS = new Set<string>(
  Object.entries(HEADER)
    .filter(([name]) => name.startsWith('DEAD_'))
    .map(([, value]) => value),
);

/** Header values are Latin-1 safe and on one line: JSON with everything beyond ASCII escaped. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function boundedErrors(errors: readonly FieldError[]): string {
  let kept = errors.map((e) => ({ ...e, path: printable(e.path, 200), message: printable(e.message, 300) }));
  let text = asciiJson(kept);
  while (text.length > MAX_ERRORS) {
    kept = kept.slice(0, Math.floor(kept.length / 2));
    text = asciiJson(kept);
  }
  return text;
}

/**
 * Headers of a dead letter: the original ones (the broker's control headers under `Loopstack-Original-…`, so that they
 * do not act again), and the facts.
 */
export function deadLetterHeaders(
  facts: DeadLetterFacts,
  original: Iterable<readonly [string, string]>,
  form: DeadLetterForm = 'full',
): Headers {
  const headers = emptyHeaders();
  for (const [name, value] of original) {
    if (DEAD_HEADERS.has(name)) continue;
    headers[isServerHeader(name) ? `${ORIGINAL_PREFIX}${name}` : name] = value;
  }
  headers[HEADER.RUN_ID] = facts.runId;
  headers[HEADER.DEAD_REASON] = facts.reason;
  headers[HEADER.DEAD_CODE] = facts.code;
  headers[HEADER.DEAD_MESSAGE] = asciiJson(printable(facts.message, MAX_MESSAGE)).slice(1, -1);
  headers[HEADER.DEAD_ATTEMPTS] = String(facts.attempts);
  headers[HEADER.DEAD_STREAM] = facts.stream;
  headers[HEADER.DEAD_SEQUENCE] = String(facts.sequence);
  headers[HEADER.DEAD_SUBJECT] = encodeURI(facts.subject);
  headers[HEADER.DEAD_TIME] = facts.time;
  if (facts.userId !== undefined) headers[HEADER.DEAD_USER] = encodeURIComponent(facts.userId.toWellFormed());
  if (facts.binding !== undefined) headers[HEADER.DEAD_BINDING] = facts.binding;
  if (facts.errors && facts.errors.length > 0) headers[HEADER.DEAD_ERRORS] = boundedErrors(facts.errors);
  if (form !== 'full') headers[HEADER.DEAD_FORM] = form;
  return headers;
}

const unescaped = (text: string): string => {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
};

const decoded = (decode: (text: string) => string, text: string): string => {
  try {
    return decode(text);
  } catch {
    return text;
  }
};

/** Reads a dead letter back; undefined for a message that is none. */
export function readDeadLetter(
  address: RunAddress,
  deadSequence: number,
  headers: HeaderReader & Iterable<readonly [string, string]>,
  body: Uint8Array,
): DeadLetter | undefined {
  const reason = headers.get(HEADER.DEAD_REASON);
  const sequence = Number(headers.get(HEADER.DEAD_SEQUENCE));
  const runId = headers.get(HEADER.RUN_ID);
  if (reason === undefined || runId === undefined || !Number.isSafeInteger(sequence)) return undefined;
  const original = emptyHeaders();
  for (const [name, value] of headers) {
    if (DEAD_HEADERS.has(name) || isServerHeader(name)) continue;
    original[name.startsWith(ORIGINAL_PREFIX) ? name.slice(ORIGINAL_PREFIX.length) : name] = value;
  }
  let errors: readonly FieldError[] = [];
  try {
    const told: unknown = JSON.parse(headers.get(HEADER.DEAD_ERRORS) ?? '[]');
    if (isFieldErrors(told)) errors = told;
  } catch {
    // A stranger's header: the letter is still a letter.
  }
  const user = decoded(decodeURIComponent, headers.get(HEADER.DEAD_USER) ?? '');
  const form = headers.get(HEADER.DEAD_FORM);
  const binding = headers.get(HEADER.DEAD_BINDING);
  return {
    ...address,
    deadSequence,
    reason: reason as DeadReason,
    code: (headers.get(HEADER.DEAD_CODE) ?? 'HANDLER_FAILED') as ErrorCode,
    message: printable(unescaped(headers.get(HEADER.DEAD_MESSAGE) ?? ''), MAX_MESSAGE),
    errors,
    attempts: Number(headers.get(HEADER.DEAD_ATTEMPTS) ?? 0),
    runId,
    ...(isUserId(user) ? { userId: user } : {}),
    ...(binding === undefined ? {} : { binding }),
    stream: headers.get(HEADER.DEAD_STREAM) ?? '',
    sequence,
    subject: decoded(decodeURI, headers.get(HEADER.DEAD_SUBJECT) ?? ''),
    time: headers.get(HEADER.DEAD_TIME) ?? '',
    headers: original,
    body: form === undefined ? body : undefined,
    ...(form === 'redacted' ? { redacted: body } : {}),
    redriven: Number(headers.get(HEADER.REDRIVEN) ?? 0),
  };
}
