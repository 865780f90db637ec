/** Header names on the wire. `Nats-…` belong to the server (NATS ADR-4, ADR-8, ADR-50), the rest is ours. */
export const HEADER = {
  MSG_ID: 'Nats-Msg-Id',
  EXPECTED_LAST_SUBJECT_SEQUENCE: 'Nats-Expected-Last-Subject-Sequence',
  BATCH_ID: 'Nats-Batch-Id',
  BATCH_SEQUENCE: 'Nats-Batch-Sequence',
  BATCH_COMMIT: 'Nats-Batch-Commit',
  RUN_ID: 'Loopstack-Run-Id',
  REPLAY_ID: 'Loopstack-Replay-Id',
  REPLAY_OF: 'Loopstack-Replay-Of',
  CAUSE: 'Loopstack-Cause',
  CAUSE_DEPTH: 'Loopstack-Cause-Depth',
  /** `<stream>:<sequence>` of the event that started the run. */
  EVENT: 'Loopstack-Event',
  CORRELATION_ID: 'Loopstack-Correlation-Id',
  EXPIRES_AT: 'Loopstack-Expires-At',
  SIGNER: 'Loopstack-Signer',
  /** ISO 8601: a delayed command is not stored before. */
  SIGNED_FROM: 'Loopstack-Signed-From',
  SIGNED_UNTIL: 'Loopstack-Signed-Until',
  SIGNATURE: 'Loopstack-Signature',
  TRACEPARENT: 'traceparent',
  TRACESTATE: 'tracestate',
  DEAD_REASON: 'Loopstack-Dead-Reason',
  DEAD_CODE: 'Loopstack-Dead-Code',
  DEAD_MESSAGE: 'Loopstack-Dead-Message',
  DEAD_ERRORS: 'Loopstack-Dead-Errors',
  DEAD_ATTEMPTS: 'Loopstack-Dead-Attempts',
  DEAD_STREAM: 'Loopstack-Dead-Stream',
  DEAD_SEQUENCE: 'Loopstack-Dead-Sequence',
  DEAD_SUBJECT: 'Loopstack-Dead-Subject',
  DEAD_TIME: 'Loopstack-Dead-Time',
  DEAD_USER: 'Loopstack-Dead-User',
  /** Durable name of the binding whose event this was; absent for a command. */
  DEAD_BINDING: 'Loopstack-Dead-Binding',
  /** `pointer`: the body did not fit and is read from DEAD_STREAM at DEAD_SEQUENCE. */
  DEAD_FORM: 'Loopstack-Dead-Form',
  /** Number of times that the run was redriven from a dead letter. */
  REDRIVEN: 'Loopstack-Redriven',
} as const;

/** Headers that a command may have. The server limits their bytes (64 KiB), which hold thousands. */
export const MAX_HEADERS = 256;
/** Those of them that a producer may give: Loopstack, the server and a replay add some. */
export const MAX_OWN_HEADERS = 200;

/** Whether a header is the server's: it acts (deduplicates, expects, schedules) wherever the message is published again. */
export function isServerHeader(name: string): boolean {
  return /^nats-/i.test(name);
}

/** Prefix under which a dead letter keeps the broker's control headers of the original message. */
export const ORIGINAL_PREFIX = 'Loopstack-Original-';

/** What the codec needs of a message's headers; lets it stay free of any client library. */
export interface HeaderReader {
  /** First value, or undefined (also undefined for an absent header). */
  get(name: string): string | undefined;
}

/** First values of headers, wherever they come from; an empty one counts as absent. */
export interface MessageHeaders extends HeaderReader, Iterable<readonly [string, string]> {
  entries(): Iterable<readonly [string, string]>;
}

/** What may be wrong with headers as a whole. */
export interface HeaderCondition {
  /** They are there and cannot be read. */
  readonly malformed?: boolean;
  /** Names. */
  readonly count?: number;
}

export const NO_HEADERS: HeaderReader = { get: () => undefined };

/** Headers as plain data, for producers and for what workflows see. */
export type Headers = Readonly<Record<string, string>>;

/** A record to fill in that has no prototype: a header may be named `__proto__` or `constructor`. */
export function emptyHeaders(): Record<string, string> {
  return Object.create(null) as Record<string, string>;
}

export function headerReader(headers: Headers): HeaderReader {
  return { get: (name) => (Object.hasOwn(headers, name) ? headers[name] : undefined) };
}
