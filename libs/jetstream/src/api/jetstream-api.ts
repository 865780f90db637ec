import { apiPrefix } from './api-prefix.js';
import { LoopstackError } from '@loopstack/shared/contract';
import { ServerClock } from '../connection/server-clock.js';
import { ERR_CODE, JetStreamApiError, errorIn, orUndefined, type ApiError } from './api-error.js';
import type { Config, ConsumerInfo, StreamInfo } from './info.js';
import { requestFailure } from '../connection/client-library.js';
import { requestWithRetry } from '../connection/connection.js';
import type { NatsConnectionLike, NatsMessage } from '../connection/nats-connection.js';
import { whyUnanswered } from '../connection/unanswered.js';
import { PAGE_BYTES, batchedGet, type Page } from '../read/batched-get.js';
import {
  directMessage,
  leaderMessage,
  queryOf,
  statusOf,
  type LeaderAnswer,
  type Position,
  type StoredMessage,
} from '../read/stored-message.js';

/** Users without the right to pause get no answer. */
const PAUSE_TIMEOUT_MS = 2000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Raw requests to the JetStream API. The client library's own management API hides error codes and lags behind the server's fields. */
export class JetStreamApi {
  readonly nc: NatsConnectionLike;
  /** First tokens of the subjects. */
  readonly prefix: string;
  readonly #timeoutMs: number;

  constructor(nc: NatsConnectionLike, domain?: string, timeoutMs = 5000) {
    this.nc = nc;
    this.prefix = apiPrefix(domain);
    this.#timeoutMs = timeoutMs;
  }

  /** The longest wait for an answer. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** The server's clock. */
  get clock(): ServerClock {
    return ServerClock.of(this.nc);
  }

  /** @throws JetStreamApiError */
  async request<T>(path: string, body?: unknown, timeoutMs = this.#timeoutMs): Promise<T> {
    return this.#body(path, timeoutMs, this.#ask(path, body)(timeoutMs));
  }

  /** As `request`, for what changes nothing: it is asked again when the connection is lost, or there is no answer. @throws JetStreamApiError */
  async read<T>(path: string, body?: unknown, timeoutMs = this.#timeoutMs): Promise<T> {
    return this.#body(path, timeoutMs, requestWithRetry(this.nc, timeoutMs, this.#ask(path, body)));
  }

  /** Undefined where the stream does not exist. */
  findStream(stream: string): Promise<StreamInfo | undefined> {
    return orUndefined(this.streamInfo(stream), ERR_CODE.STREAM_NOT_FOUND);
  }

  streamInfo(stream: string, request?: { subjects_filter?: string; offset?: number }): Promise<StreamInfo & { total?: number }> {
    return this.read(`STREAM.INFO.${stream}`, request);
  }

  /** Removes a message; one that is gone already is fine. */
  async remove(stream: string, sequence: number): Promise<void> {
    await orUndefined(this.request(`STREAM.MSG.DELETE.${stream}`, { seq: sequence, no_erase: true }), ERR_CODE.NO_MESSAGE);
  }

  /** Resolves when the API answers for a consumer, whatever it says. @throws JetStreamApiError with `errCode` 0 */
  async probe(stream: string, consumer: string, timeoutMs: number): Promise<void> {
    await this.read(`CONSUMER.INFO.${stream}.${consumer}`, undefined, timeoutMs).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError) || error.errCode === 0) throw error;
    });
  }

  consumerInfo(stream: string, consumer: string): Promise<ConsumerInfo> {
    return this.read(`CONSUMER.INFO.${stream}.${consumer}`);
  }

  /** Undefined where the consumer does not exist. @throws JetStreamApiError, also where its stream does not */
  findConsumer(stream: string, consumer: string): Promise<ConsumerInfo | undefined> {
    return orUndefined(this.consumerInfo(stream, consumer), ERR_CODE.CONSUMER_NOT_FOUND);
  }

  /** Lets a consumer deliver nothing until then, or again. Server 2.11 and later. */
  async pauseConsumer(stream: string, consumer: string, until: Date | undefined): Promise<void> {
    await this.request(`CONSUMER.PAUSE.${stream}.${consumer}`, until ? { pause_until: until.toISOString() } : {}, PAUSE_TIMEOUT_MS);
  }

  createConsumer(stream: string, config: Config & { durable_name: string }): Promise<ConsumerInfo> {
    return this.request(`CONSUMER.DURABLE.CREATE.${stream}.${config.durable_name}`, { stream_name: stream, config });
  }

  /** A message by direct get, or undefined. Any replica answers, and may lag behind the leader by a moment. @throws JetStreamApiError */
  async get(stream: string, position: Position): Promise<StoredMessage | undefined> {
    const path = `DIRECT.GET.${stream}`;
    const byLast = 'last' in position;
    const ask = this.#ask(byLast ? `${path}.${position.last}` : path, byLast ? undefined : queryOf(position));
    const answer = await this.#answer(path, this.#timeoutMs, requestWithRetry(this.nc, this.#timeoutMs, ask));
    return statusOf(answer, path) === 0 ? directMessage(answer) : undefined;
  }

  /**
   * A message as the stream's leader has it, or undefined. Also of a stream that allows no direct gets, and one with headers at which the
   * client library throws: an answer of a direct get with those never arrives. @throws JetStreamApiError
   */
  async getFromLeader(stream: string, position: Position): Promise<StoredMessage | undefined> {
    const answer = await orUndefined(this.read<LeaderAnswer>(`STREAM.MSG.GET.${stream}`, queryOf(position)), ERR_CODE.NO_MESSAGE);
    return answer && leaderMessage(answer);
  }

  /** A page of messages by batched direct get. @throws JetStreamApiError */
  batch(stream: string, query: object): Promise<Page> {
    return batchedGet(this.nc, this.prefix, oneLine(`DIRECT.GET.${stream}`), query, this.#timeoutMs);
  }

  /**
   * The messages of a subject filter in the order of the stream, in pages (nats-server 2.11): flat memory, no consumer to leave behind.
   * Ends where the stream ended when a page found nothing more. @throws JetStreamApiError
   */
  async *scan(
    stream: string,
    subject: string,
    range: { readonly from?: number; readonly fromTime?: Date; readonly to?: number; readonly batch?: number } = {},
  ): AsyncGenerator<StoredMessage> {
    const { to = Number.MAX_SAFE_INTEGER, batch = 256 } = range;
    let position: Config =
      range.from === undefined && range.fromTime ? { start_time: range.fromTime.toISOString() } : { seq: Math.max(1, range.from ?? 1) };
    for (;;) {
      const { messages } = await this.batch(stream, { ...position, next_by_subj: subject, batch, max_bytes: PAGE_BYTES });
      for (const message of messages) {
        if (message.sequence > to) return;
        yield message;
      }
      const last = messages.at(-1);
      if (last === undefined) return;
      position = { seq: last.sequence + 1 };
    }
  }

  #ask(path: string, body: unknown): (timeoutMs: number) => Promise<NatsMessage> {
    const data = body === undefined ? undefined : encoder.encode(JSON.stringify(body));
    const subject = oneLine(`${this.prefix}.${path}`);
    return (timeout) => this.nc.request(subject, data, { timeout });
  }

  async #answer(path: string, timeoutMs: number, asked: Promise<NatsMessage>): Promise<NatsMessage> {
    try {
      return await asked;
    } catch (cause) {
      // Servers answer direct gets only for a stream that is there.
      const isMissing = requestFailure(cause) === 'no-responders' && !path.startsWith('DIRECT.GET.');
      throw new JetStreamApiError(0, `${path}: ${whyUnanswered(this.nc, cause, timeoutMs)}`, { cause, isMissing });
    }
  }

  async #body<T>(path: string, timeoutMs: number, asked: Promise<NatsMessage>): Promise<T> {
    const { data } = await this.#answer(path, timeoutMs, asked);
    const answer = JSON.parse(decoder.decode(data)) as T & { error?: ApiError };
    if (answer.error) throw errorIn(answer.error);
    return answer;
  }
}

/** Client libraries write whatever subject they are given: white space in one is another protocol line to the server. */
export function oneLine(subject: string): string {
  if (!/\s/.test(subject)) return subject;
  throw new LoopstackError('NAME_INVALID', { what: 'subject', value: JSON.stringify(subject.slice(0, 80)) });
}
