import { LoopstackError, printable } from '@loopstack/shared/contract';
import { JetStreamApiError } from '../api/api-error.js';
import { oneLine, type JetStreamApi } from '../api/jetstream-api.js';
import { requestWithRetry } from '../connection/connection.js';
import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { whyUnanswered } from '../connection/unanswered.js';
import { PAGE_BYTES, type Page } from './batched-get.js';
import { Limiter } from './limiter.js';
import type { Position, StoredMessage } from './stored-message.js';

type Start = { readonly sequence: number } | { readonly timeMs: number };

/** Messages in the first page of a scan, where nothing else is asked for, and most in one; each page is twice as long as the one before. */
const FIRST_PAGE = 16;
const MAX_PAGE = 1024;
/** Pages that are asked for at once; more of them would wait for one another in the server, where a timeout runs. */
const MAX_PAGES = 8;
/** The server answers no more subjects at once (NATS ADR-31). */
const MULTI_LAST = 1024;

/** Reads streams without a consumer, for a caller of this project: its errors are LoopstackErrors that name the stream. */
export class StreamReader {
  readonly #api: JetStreamApi;
  readonly #pages = new Limiter(MAX_PAGES);

  constructor(api: JetStreamApi) {
    this.#api = api;
  }

  get nc(): NatsConnectionLike {
    return this.#api.nc;
  }

  /** A message, or undefined. Any replica answers, and may lag behind the leader by a moment. */
  get(stream: string, position: Position): Promise<StoredMessage | undefined> {
    return this.#told(stream, this.#api.get(stream, position));
  }

  /** A message as the stream's leader has it, or undefined. */
  getFromLeader(stream: string, position: Position): Promise<StoredMessage | undefined> {
    return this.#told(stream, this.#api.getFromLeader(stream, position));
  }

  /** An answer of the JetStream API; undefined if what is asked for does not exist. */
  call<T>(path: string, query: unknown, stream: string): Promise<T | undefined> {
    return this.#told(stream, this.#api.read<T>(path, query));
  }

  /** Removes the messages of a subject, and tells how many there were. Said once: said again, it would remove later ones. */
  async purge(stream: string, filter: string): Promise<number> {
    const answer = await this.#told(stream, this.#api.request<{ purged: number }>(`STREAM.PURGE.${stream}`, { filter: oneLine(filter) }));
    return answer?.purged ?? 0;
  }

  /** The messages of a subject (wildcards allowed) from a sequence or a time on, in pages that double from `page` messages. */
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
  #page(stream: string, query: object): Promise<Page> {
    return this.#pages.run(async () => {
      if (this.nc.isClosed() || this.nc.isDraining()) throw new LoopstackError('CLOSED');
      const page = requestWithRetry(this.nc, this.#api.timeoutMs, () => this.#api.batch(stream, query));
      return (await this.#told(stream, page)) ?? { messages: [], more: false };
    });
  }

  /** @throws LoopstackError STREAM_UNAVAILABLE, CLOSED */
  async #told<T>(stream: string, asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.isNotFound) return undefined;
      const { errCode, cause } = error;
      if (errCode === 0 && (this.nc.isClosed() || this.nc.isDraining())) throw new LoopstackError('CLOSED', {}, { cause: error });
      const reason = cause === undefined ? printable(error.message, 300) : whyUnanswered(this.nc, cause, this.#api.timeoutMs);
      throw new LoopstackError('STREAM_UNAVAILABLE', { stream, reason, ...(errCode === 0 ? {} : { errCode }) }, { cause: error });
    }
  }
}
