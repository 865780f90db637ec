import { LoopstackError, printable, type HeaderReader } from '@loopstack/shared/contract';
import { NatsError, type Msg, type NatsConnection } from 'nats';
import { ERR_CODE, type ApiError } from './acknowledgement.js';

/** A message as a stream holds it. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
  readonly headers: HeaderReader;
  readonly data: Uint8Array;
}

/** Where to read from: `next` is the first message of `subject` (wildcards allowed) at or after `sequence` or `since`. */
export type Position = { readonly last: string } | { readonly sequence: number } | { readonly next: string; readonly sequence: number };

const NOT_FOUND = 404;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Reads streams through the JetStream API without a consumer. Direct gets (NATS ADR-31) are answered by any replica and
 * may lag behind the leader by a moment; `leader: true` asks the leader.
 */
export class StreamReader {
  constructor(
    readonly nc: NatsConnection,
    readonly api: string,
    readonly timeoutMs: number,
  ) {}

  /** The last message of a subject, the one at a sequence, or the next one of a subject; undefined if there is none. */
  async read(stream: string, position: Position, leader = false): Promise<StoredMessage | undefined> {
    if (leader) return this.#readLeader(stream, position);
    const subject = 'last' in position ? `${this.api}.DIRECT.GET.${stream}.${position.last}` : `${this.api}.DIRECT.GET.${stream}`;
    const query = 'last' in position ? undefined : 'next' in position ? { seq: position.sequence, next_by_subj: position.next } : { seq: position.sequence };
    const answer = await this.request(subject, query, stream);
    return storedMessage(answer, stream);
  }

  async #readLeader(stream: string, position: Position): Promise<StoredMessage | undefined> {
    const query =
      'last' in position
        ? { last_by_subj: position.last }
        : 'next' in position
          ? { seq: position.sequence, next_by_subj: position.next }
          : { seq: position.sequence };
    const answer = await this.call<{ message: { subject: string; seq: number; time: string; hdrs?: string; data?: string } }>(`STREAM.MSG.GET.${stream}`, query, stream);
    if (answer === undefined) return undefined;
    const { subject, seq, time, hdrs, data } = answer.message;
    return {
      subject,
      sequence: seq,
      timeMs: Date.parse(time),
      headers: headersOf(hdrs === undefined ? '' : Buffer.from(hdrs, 'base64').toString('utf8')),
      data: data === undefined ? new Uint8Array(0) : Buffer.from(data, 'base64'),
    };
  }

  /** A request to the JetStream API; undefined if what is asked for does not exist. */
  async call<T>(subject: string, query: unknown, stream: string): Promise<T | undefined> {
    const answer = await this.request(`${this.api}.${subject}`, query, stream);
    const body = JSON.parse(decoder.decode(answer.data)) as T & { error?: ApiError };
    if (!body.error) return body;
    if (body.error.code === NOT_FOUND || body.error.err_code === ERR_CODE.NO_MESSAGE) return undefined;
    throw new LoopstackError('STREAM_UNAVAILABLE', {
      stream,
      reason: printable(body.error.description ?? `status ${body.error.code}`, 300),
      errCode: body.error.err_code ?? body.error.code,
    });
  }

  async request(subject: string, query: unknown, stream: string): Promise<Msg> {
    try {
      return await this.nc.request(subject, query === undefined ? undefined : encoder.encode(JSON.stringify(query)), { timeout: this.timeoutMs });
    } catch (cause) {
      if (this.nc.isClosed()) throw new LoopstackError('CLOSED', {}, { cause });
      throw new LoopstackError('STREAM_UNAVAILABLE', { stream, reason: reasonOf(cause, this.timeoutMs) }, { cause });
    }
  }
}

function reasonOf(cause: unknown, timeoutMs: number): string {
  if (cause instanceof NatsError && cause.code === '503') return 'no responders';
  if (cause instanceof NatsError && cause.code === 'TIMEOUT') return `no answer within ${timeoutMs} ms`;
  return printable((cause as Error).message, 300);
}

/** The message in a direct get's answer: its place is told in headers. */
export function storedMessage(answer: Msg, stream: string): StoredMessage | undefined {
  const { headers } = answer;
  const sequence = Number(headers?.get('Nats-Sequence'));
  if (!headers || !Number.isSafeInteger(sequence) || sequence < 1) {
    const code = headers?.code ?? 0;
    if (code === NOT_FOUND) return undefined;
    throw new LoopstackError('STREAM_UNAVAILABLE', { stream, reason: headers === undefined ? 'an answer without headers' : `status ${headers.status}` });
  }
  return {
    subject: headers.get('Nats-Subject'),
    sequence,
    timeMs: Date.parse(headers.get('Nats-Time-Stamp')),
    headers: { get: (name) => (headers.has(name) ? headers.get(name) : undefined) },
    data: answer.data,
  };
}

function headersOf(block: string): HeaderReader {
  const values = new Map<string, string>();
  for (const line of block.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon > 0 && !values.has(name)) values.set(name, line.slice(colon + 1).trim());
  }
  return { get: (name) => values.get(name) };
}
