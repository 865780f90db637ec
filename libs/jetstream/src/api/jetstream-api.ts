import { apiPrefix } from './api-prefix.js';
import { relayedHeader } from '@loopstack/shared/contract';
import { ServerClock } from '../connection/server-clock.js';
import { ERR_CODE, JetStreamApiError, errorIn, orUndefined, type ApiError } from './api-error.js';
import type { Config, ConsumerInfo, StreamInfo } from './info.js';
import { answersTo, requestFailure } from '../connection/client-library.js';
import { requestWithRetry } from '../connection/connection.js';
import type { NatsConnectionLike, NatsMessage } from '../connection/nats-connection.js';
import { RawHeaders } from '../read/raw-message.js';

export interface StreamMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly data: Uint8Array;
  readonly headers: RawHeaders;
  /** It was an answer of the server already when it was stored. */
  readonly relayed: boolean;
}

/** Users without the right to pause get no answer. */
const PAUSE_TIMEOUT_MS = 2000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Raw requests to the JetStream API. The client library's own management API hides error codes and lags behind the server's fields. */
export class JetStreamApi {
  readonly prefix: string;

  constructor(
    readonly nc: NatsConnectionLike,
    domain?: string,
    private readonly timeoutMs = 5000,
  ) {
    this.prefix = apiPrefix(domain);
  }

  /** The server's clock. */
  get clock(): ServerClock {
    return ServerClock.of(this.nc);
  }

  /** @throws JetStreamApiError */
  async request<T>(path: string, body?: unknown, timeoutMs = this.timeoutMs): Promise<T> {
    return this.answer(path, timeoutMs, this.ask(path, body)(timeoutMs));
  }

  /** As `request`, for what changes nothing: it is asked again when the connection is lost, or there is no answer. @throws JetStreamApiError */
  async read<T>(path: string, body?: unknown, timeoutMs = this.timeoutMs): Promise<T> {
    return this.answer(path, timeoutMs, requestWithRetry(this.nc, timeoutMs, this.ask(path, body)));
  }

  private ask(path: string, body: unknown): (timeoutMs: number) => Promise<NatsMessage> {
    const data = body === undefined ? undefined : encoder.encode(JSON.stringify(body));
    return (timeout) => this.nc.request(`${this.prefix}.${path}`, data, { timeout });
  }

  private async answer<T>(path: string, timeoutMs: number, asked: Promise<NatsMessage>): Promise<T> {
    let msg: NatsMessage;
    try {
      msg = await asked;
    } catch (cause) {
      const failure = requestFailure(cause);
      const reason =
        failure === 'no-responders'
          ? 'JetStream is not available to this user'
          : failure === 'timeout'
            ? `no answer within ${timeoutMs} ms`
            : (cause as Error).message;
      throw new JetStreamApiError(0, `${path}: ${reason}`, { cause });
    }
    const answer = JSON.parse(decoder.decode(msg.data)) as T & { error?: ApiError };
    if (answer.error) throw errorIn(answer.error);
    return answer;
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

  /** Last message of a subject as the stream's leader has it, or undefined. A direct get could be answered by a replica that lags. */
  lastOf(stream: string, subject: string): Promise<StreamMessage | undefined> {
    return this.leader(stream, { last_by_subj: subject });
  }

  /** The message at a sequence as the stream's leader has it, or undefined: also of a stream that allows no direct gets. */
  leaderAt(stream: string, sequence: number): Promise<StreamMessage | undefined> {
    return this.leader(stream, { seq: sequence });
  }

  /**
   * First message at or after `sequence` whose subject matches the filter, as the stream's leader has it, or undefined.
   * Also one with headers at which the client library throws: an answer of a direct get with those never arrives.
   */
  leaderNext(stream: string, subject: string, sequence: number): Promise<StreamMessage | undefined> {
    return this.leader(stream, { seq: sequence, next_by_subj: subject });
  }

  private async leader(stream: string, query: Config): Promise<StreamMessage | undefined> {
    try {
      const { message } = await this.read<{ message: { subject: string; seq: number; time: string; data?: string; hdrs?: string } }>(
        `STREAM.MSG.GET.${stream}`,
        query,
      );
      const { subject, seq, time, data = '', hdrs } = message;
      const headers = hdrs === undefined ? NO_HEADERS : readableHeaders(Buffer.from(hdrs, 'base64').toString());
      return {
        subject,
        sequence: seq,
        timeMs: Date.parse(time),
        data: Buffer.from(data, 'base64'),
        headers,
        relayed: relayedHeader(headers) !== undefined,
      };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.errCode === ERR_CODE.NO_MESSAGE) return undefined;
      throw error;
    }
  }

  /** The message at a sequence by direct get, or undefined. */
  at(stream: string, sequence: number): Promise<StreamMessage | undefined> {
    return this.direct(`DIRECT.GET.${stream}`, { seq: sequence });
  }

  /** First message at or after `sequence` whose subject matches the filter. */
  next(stream: string, subject: string, sequence: number): Promise<StreamMessage | undefined> {
    return this.direct(`DIRECT.GET.${stream}`, { seq: sequence, next_by_subj: subject });
  }

  /**
   * The messages of a subject filter in the order of the stream, by batched direct gets (NATS ADR-31; server 2.11 and
   * later): flat memory, no consumer to leave behind. Ends where the stream ended when a batch found nothing more.
   */
  async *scan(
    stream: string,
    subject: string,
    range: { readonly from?: number; readonly fromTime?: Date; readonly to?: number; readonly batch?: number } = {},
  ): AsyncGenerator<StreamMessage> {
    const { to = Number.MAX_SAFE_INTEGER, batch = 256 } = range;
    let position: Config =
      range.from === undefined && range.fromTime ? { start_time: range.fromTime.toISOString() } : { seq: Math.max(1, range.from ?? 1) };
    for (;;) {
      let last = 0;
      let answered = false;
      const request = encoder.encode(JSON.stringify({ ...position, next_by_subj: subject, batch }));
      for await (const msg of await answersTo(this.nc, `${this.prefix}.DIRECT.GET.${stream}`, request, this.timeoutMs)) {
        answered = true;
        const stored = this.stored(msg, `DIRECT.GET.${stream}`);
        if (!stored) continue;
        if (stored.sequence > to) return;
        last = stored.sequence;
        yield stored;
      }
      if (!answered) throw new JetStreamApiError(0, `DIRECT.GET.${stream}: no answer within ${this.timeoutMs} ms`);
      // A message without a body ends a batch early, too: only a batch without any message is the end.
      if (last === 0) return;
      position = { seq: last + 1 };
    }
  }

  async direct(path: string, body?: unknown): Promise<StreamMessage | undefined> {
    const msg = await requestWithRetry(this.nc, this.timeoutMs, this.ask(path, body)).catch((cause: Error) => {
      throw new JetStreamApiError(0, `${path.split('.', 3).join('.')}: ${cause.message}`, { cause });
    });
    return this.stored(msg, path);
  }

  private stored(msg: NatsMessage, path: string): StreamMessage | undefined {
    const { headers } = msg;
    if (!headers?.has('Nats-Sequence')) {
      if (headers && (headers.code === 404 || headers.code === 204)) return undefined;
      if (headers && headers.code >= 300) throw new JetStreamApiError(headers.code, headers.description);
      throw new JetStreamApiError(0, `${path}: direct get is not allowed on this stream`);
    }
    // The place is told behind the headers that the message has itself, whatever they say.
    return {
      subject: headers.last('Nats-Subject'),
      sequence: Number(headers.last('Nats-Sequence')),
      timeMs: Date.parse(headers.last('Nats-Time-Stamp')),
      data: msg.data,
      headers: new RawHeaders(msg),
      // The answer has its own behind those that are stored.
      relayed: headers.values('Nats-Stream').length > 1,
    };
  }
}

const NO_HEADERS = headersIn('');
const READABLE = /^[!-9;-~]+:[^\r\n]*$/;

/** A block of headers as the server stores it (NATS ADR-4), without those that the client library does not take for headers. */
function readableHeaders(block: string): RawHeaders {
  const [first = '', ...lines] = block.split('\r\n');
  return headersIn([first, ...lines.filter((line) => READABLE.test(line)), '', ''].join('\r\n'));
}

function headersIn(block: string): RawHeaders {
  const bytes = Buffer.from(block);
  return new RawHeaders({ _rdata: bytes, _msg: { hdr: bytes.length } } as unknown as NatsMessage);
}
