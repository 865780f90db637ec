import { relayedHeader } from '@loopstack/shared/contract';
import { JetStreamApiError } from '../api/api-error.js';
import type { NatsMessage } from '../connection/nats-connection.js';
import { RawHeaders, StoredHeaders } from './raw-message.js';

/** A message as a stream holds it. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
  /** Those that a direct get tells are followed by the server's own. */
  readonly headers: RawHeaders;
  readonly data: Uint8Array;
  /** It was an answer of the server already when it was stored. */
  readonly relayed: boolean;
}

/** A place in a stream: `next` is the first message whose subject matches (wildcards allowed) at or after `sequence` or `since`. */
export type Position =
  | { readonly last: string }
  | { readonly sequence: number }
  | { readonly next: string; readonly sequence: number }
  | { readonly next: string; readonly since: Date };

/** A position as the API names it. */
export function queryOf(position: Position): Readonly<Record<string, unknown>> {
  if ('last' in position) return { last_by_subj: position.last };
  if (!('next' in position)) return { seq: position.sequence };
  if ('sequence' in position) return { seq: position.sequence, next_by_subj: position.next };
  // A time is only known to batches.
  return { start_time: position.since.toISOString(), next_by_subj: position.next, batch: 1 };
}

const NOT_FOUND = 404;
const END_OF_BATCH = 204;

/**
 * The status of an answer of a direct get; 0: it is a message, which may have been stored with a status of its own.
 * @throws JetStreamApiError for a status that is an error
 */
export function statusOf({ headers }: NatsMessage, path: string): 0 | typeof NOT_FOUND | typeof END_OF_BATCH {
  if (headers?.has('Nats-Sequence')) return 0;
  const code = headers?.code ?? 0;
  if (code === NOT_FOUND || code === END_OF_BATCH) return code;
  if (headers && code >= 300) throw new JetStreamApiError(code, headers.description);
  throw new JetStreamApiError(0, `${path}: direct get is not allowed on this stream`);
}

/** The message in an answer of a direct get. The server tells its place behind the headers of the message itself, whatever they say. */
export function directMessage(answer: NatsMessage): StoredMessage {
  const headers = answer.headers as NonNullable<NatsMessage['headers']>;
  return {
    subject: headers.last('Nats-Subject'),
    sequence: Number(headers.last('Nats-Sequence')),
    timeMs: Date.parse(headers.last('Nats-Time-Stamp')),
    headers: new RawHeaders(answer),
    data: answer.data,
    // The answer has its own behind those that are stored.
    relayed: headers.values('Nats-Stream').length > 1,
  };
}

/** The answer of a stream's leader. */
export interface LeaderAnswer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly time: string;
    readonly hdrs?: string;
    readonly data?: string;
  };
}

export function leaderMessage({ message: { subject, seq, time, hdrs = '', data = '' } }: LeaderAnswer): StoredMessage {
  const headers = new StoredHeaders(Buffer.from(hdrs, 'base64'));
  return {
    subject,
    sequence: seq,
    timeMs: Date.parse(time),
    headers,
    data: Buffer.from(data, 'base64'),
    relayed: relayedHeader(headers) !== undefined,
  };
}
