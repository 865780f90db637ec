import { LoopstackError, headerLinesOf, printable, relayedHeader, type HeaderLine, type HeaderReader } from '@loopstack/shared/contract';
import type { NatsConnectionLike, NatsMessage } from '../connection/nats-connection.js';
import { ERR_CODE, type ApiError } from '../api/api-error.js';
import { requestFailure } from '../connection/client-library.js';
import { requestWithRetry, inboxOf } from '../connection/connection.js';
import { Limiter } from './limiter.js';

/** A message as a stream holds it. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
  readonly headers: HeaderReader;
  /** Its headers byte by byte; only as the leader tells it, and if they can be told so. */
  readonly lines?: readonly HeaderLine[] | undefined;
  readonly data: Uint8Array;
  /** It was an answer of the server already when it was stored. */
  readonly relayed: boolean;
}

/** Where to read from: `next` is the first message of `subject` (wildcards allowed) at or after `sequence` or `since`. */
export type Position = { readonly last: string } | { readonly sequence: number } | { readonly next: string; readonly sequence: number };

type Start = { readonly sequence: number } | { readonly timeMs: number };

/** Why a stream does not answer: nobody in the account takes the question, or nobody leads the stream now. */
export const NO_RESPONDERS = 'no responders';
const NOT_FOUND = 404;
const END_OF_BATCH = 204;
/** Bytes of messages in one answer of a scan. */
const PAGE_BYTES = 1024 * 1024;
/** Messages in the first page of a scan, where nothing else is asked for, and most in one; each page is twice as long as the one before. */
const FIRST_PAGE = 16;
const MAX_PAGE = 1024;
/** Pages that are asked for at once; more of them would wait for one another in the server, where a timeout runs. */
const MAX_PAGES = 8;
/** The server answers no more subjects at once (NATS ADR-31). */
const MULTI_LAST = 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Reads streams through the JetStream API without a consumer. Direct gets (NATS ADR-31) are answered by any replica and
 * may lag behind the leader by a moment; `leader: true` asks the leader.
 */
export class StreamReader {
  readonly #pages = new Limiter(MAX_PAGES);

  constructor(
    readonly nc: NatsConnectionLike,
    readonly api: string,
    readonly timeoutMs: number,
  ) {}

  /** The last message of a subject, the one at a sequence, or the next one of a subject; undefined if there is none. */
  async read(stream: string, position: Position, leader = false): Promise<StoredMessage | undefined> {
    if (leader) return this.#readLeader(stream, position);
    const subject = 'last' in position ? `${this.api}.DIRECT.GET.${stream}.${position.last}` : `${this.api}.DIRECT.GET.${stream}`;
    const query =
      'last' in position
        ? undefined
        : 'next' in position
          ? { seq: position.sequence, next_by_subj: position.next }
          : { seq: position.sequence };
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
    const answer = await this.call<{ message: { subject: string; seq: number; time: string; hdrs?: string; data?: string } }>(
      `STREAM.MSG.GET.${stream}`,
      query,
      stream,
    );
    if (answer === undefined) return undefined;
    const { subject, seq, time, hdrs, data } = answer.message;
    const block = Buffer.from(hdrs ?? '', 'base64');
    const headers = headersOf(block.toString('utf8'));
    return {
      subject,
      sequence: seq,
      timeMs: Date.parse(time),
      headers,
      lines: headerLinesOf(block),
      relayed: relayedHeader(headers) !== undefined,
      data: data === undefined ? new Uint8Array(0) : Buffer.from(data, 'base64'),
    };
  }

  /**
   * The messages of a subject (wildcards allowed) from a sequence or a time on, in pages that double from `page` messages.
   * Needs nats-server 2.11 (batched direct get, NATS ADR-31).
   */
  async *scan(stream: string, subject: string, from: Start, page?: number): AsyncGenerator<StoredMessage> {
    for await (const messages of this.pages(stream, subject, from, page)) yield* messages;
  }

  /** As `scan`, a page at a time. */
  async *pages(stream: string, subject: string, from: Start, page = FIRST_PAGE): AsyncGenerator<readonly StoredMessage[]> {
    let start: object = 'sequence' in from ? { seq: from.sequence } : { start_time: new Date(from.timeMs).toISOString() };
    for (let batch = page; ; batch = Math.min(batch * 2, MAX_PAGE)) {
      const { messages, more } = await this.#page(stream, { ...start, next_by_subj: subject, batch, max_bytes: PAGE_BYTES });
      yield messages;
      const last = messages.at(-1);
      if (last === undefined || !more) return;
      start = { seq: last.sequence + 1 };
    }
  }

  /** The last message of each of the subjects that has one, as they come: not all of them at once are in memory. */
  async *lastOf(stream: string, subjects: readonly string[]): AsyncGenerator<StoredMessage> {
    const left = new Set(subjects);
    while (left.size > 0) {
      const asked = [...left].slice(0, MULTI_LAST);
      const { messages, more } = await this.#page(stream, { multi_last: asked, batch: MULTI_LAST, max_bytes: PAGE_BYTES });
      yield* messages;
      for (const { subject } of messages) left.delete(subject);
      if (more && messages.length > 0) continue;
      // What was asked for and is not answered has none; `more` says that the answer was cut by its size.
      if (more) throw new LoopstackError('STREAM_UNAVAILABLE', { stream, reason: 'it answers nothing of what it says is there' });
      for (const subject of asked) left.delete(subject);
    }
  }

  /** A page, once it is its turn; no timeout runs before. */
  #page(stream: string, query: object): Promise<{ messages: StoredMessage[]; more: boolean }> {
    return this.#pages.run(async () => {
      if (this.nc.isClosed() || this.nc.isDraining()) throw new LoopstackError('CLOSED');
      return requestWithRetry(this.nc, this.timeoutMs, () => this.#batch(stream, query));
    });
  }

  /** Several messages in answer to one request; a message without data and with a status ends them. */
  #batch(stream: string, query: object): Promise<{ messages: StoredMessage[]; more: boolean }> {
    return new Promise((resolve, reject) => {
      const messages: StoredMessage[] = [];
      const inbox = inboxOf(this.nc);
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        if (!this.nc.isClosed()) subscription.unsubscribe();
        settle();
      };
      const fail = (reason: string): void =>
        finish(() =>
          reject(this.nc.isClosed() ? new LoopstackError('CLOSED') : new LoopstackError('STREAM_UNAVAILABLE', { stream, reason })),
        );
      const subscription = this.nc.subscribe(inbox, {
        callback: (error, answer) => {
          if (error) return fail(error.message);
          // A message may have been stored with a status of its own.
          const code = answer.headers?.has('Nats-Sequence') ? 0 : (answer.headers?.code ?? 0);
          if (code === END_OF_BATCH) finish(() => resolve({ messages, more: Number(answer.headers?.get('Nats-Num-Pending')) > 0 }));
          else if (code === NOT_FOUND) finish(() => resolve({ messages, more: false }));
          else if (code !== 0) fail(`status ${answer.headers?.status}`);
          else {
            const message = storedMessage(answer, stream);
            if (message) messages.push(message);
            timer.refresh();
          }
        },
      });
      const timer = setTimeout(() => fail(`no answer within ${this.timeoutMs} ms`), this.timeoutMs);
      this.nc.publish(oneLine(`${this.api}.DIRECT.GET.${stream}`), encoder.encode(JSON.stringify(query)), { reply: inbox });
    });
  }

  /** A question to the JetStream API; undefined if what is asked for does not exist. */
  async call<T>(subject: string, query: unknown, stream: string): Promise<T | undefined> {
    return this.#body(await this.request(`${this.api}.${subject}`, query, stream), stream);
  }

  /** Removes the messages of a subject, and tells how many there were. Said once: said again, it would remove what came since. */
  async purge(stream: string, filter: string): Promise<number> {
    const data = encoder.encode(JSON.stringify({ filter: oneLine(filter) }));
    const subject = `${this.api}.STREAM.PURGE.${stream}`;
    const answer = await this.#answer(stream, this.nc.request(subject, data, { timeout: this.timeoutMs }));
    return this.#body<{ purged: number }>(answer, stream)?.purged ?? 0;
  }

  #body<T>(answer: NatsMessage, stream: string): T | undefined {
    const body = JSON.parse(decoder.decode(answer.data)) as T & { error?: ApiError };
    if (!body.error) return body;
    if (body.error.code === NOT_FOUND || body.error.err_code === ERR_CODE.NO_MESSAGE) return undefined;
    throw new LoopstackError('STREAM_UNAVAILABLE', {
      stream,
      reason: printable(body.error.description ?? `status ${body.error.code}`, 300),
      errCode: body.error.err_code ?? body.error.code,
    });
  }

  async request(subject: string, query: unknown, stream: string): Promise<NatsMessage> {
    const asked = oneLine(subject);
    const data = query === undefined ? undefined : encoder.encode(JSON.stringify(query));
    const ask = (timeout: number): Promise<NatsMessage> => this.nc.request(asked, data, { timeout });
    return this.#answer(stream, requestWithRetry(this.nc, this.timeoutMs, ask));
  }

  async #answer(stream: string, asked: Promise<NatsMessage>): Promise<NatsMessage> {
    try {
      return await asked;
    } catch (cause) {
      if (cause instanceof LoopstackError) throw cause;
      if (this.nc.isClosed() || this.nc.isDraining()) throw new LoopstackError('CLOSED', {}, { cause });
      throw new LoopstackError('STREAM_UNAVAILABLE', { stream, reason: reasonOf(cause, this.timeoutMs) }, { cause });
    }
  }
}

/** The client library writes whatever subject it is given: white space in one is another protocol line to the server. */
function oneLine(subject: string): string {
  if (!/\s/.test(subject)) return subject;
  throw new LoopstackError('NAME_INVALID', { what: 'subject', value: JSON.stringify(subject.slice(0, 80)) });
}

function reasonOf(cause: unknown, timeoutMs: number): string {
  const failure = requestFailure(cause);
  if (failure === 'no-responders') return NO_RESPONDERS;
  if (failure === 'timeout') return `no answer within ${timeoutMs} ms`;
  return printable((cause as Error).message, 300);
}

/** The message in a direct get's answer: its place is told in headers, behind those that the message has itself, whatever they say. */
function storedMessage(answer: NatsMessage, stream: string): StoredMessage | undefined {
  const { headers } = answer;
  const sequence = Number(headers?.last('Nats-Sequence'));
  if (!headers || !Number.isSafeInteger(sequence) || sequence < 1) {
    const code = headers?.code ?? 0;
    if (code === NOT_FOUND) return undefined;
    throw new LoopstackError('STREAM_UNAVAILABLE', {
      stream,
      reason: headers === undefined ? 'an answer without headers' : `status ${headers.status}`,
    });
  }
  return {
    subject: headers.last('Nats-Subject'),
    sequence,
    timeMs: Date.parse(headers.last('Nats-Time-Stamp')),
    headers: { get: (name) => (headers.has(name) ? headers.get(name) : undefined) },
    data: answer.data,
    // The answer has its own behind those that are stored.
    relayed: headers.values('Nats-Stream').length > 1,
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
