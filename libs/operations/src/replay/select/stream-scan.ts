import { monotonicMs } from '@loopstack/shared/contract';
import {
  deliveryFacts,
  inboxOf,
  JetStreamApiError,
  RawHeaders,
  type Config,
  type ConsumerInfo,
  type JetStreamApi,
  type NatsConnectionLike,
  type NatsMessage,
  type NatsSubscription,
} from '@loopstack/jetstream';
import { createInbox } from 'nats';

/** A message as a scan reads it. Headers are parsed when they are first asked for. */
export class ScannedMessage {
  readonly sequence: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
  readonly #msg: NatsMessage;
  #headers: RawHeaders | undefined;

  constructor(msg: NatsMessage, sequence: number, timeMs: number) {
    this.#msg = msg;
    this.sequence = sequence;
    this.timeMs = timeMs;
  }

  get subject(): string {
    return this.#msg.subject;
  }

  get data(): Uint8Array {
    return this.#msg.data;
  }

  get headers(): RawHeaders {
    return (this.#headers ??= new RawHeaders(this.#msg));
  }
}

export interface ScanRange {
  readonly stream: string;
  readonly subjects: readonly string[];
  /** First sequence that is read. */
  readonly from: number;
  /** Where reading starts if `from` is 1. */
  readonly sinceMs?: number | undefined;
  /** Last sequence that is read; what is stored later does not extend the scan. */
  readonly to: number;
}

const NS = 1_000_000;
const HEARTBEAT_MS = 1000;
const SILENCE_MS = 3 * HEARTBEAT_MS;
const EXPIRES_MS = 30_000;
/** A scan that waits for a slow reader longer than this loses its consumer, and makes another one. */
const INACTIVE_MS = 60_000;
const BATCH = 1000;
/** Bounds what two pulls of large messages hold in memory. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Between tries to open a consumer while the server does not answer, and how long that may last once the scan has begun. */
const REOPEN_MS = 500;
const PATIENCE_MS = 300_000;
const CLUSTER_NOT_AVAILABLE = 10008;

const encoder = new TextEncoder();

interface Slot {
  readonly inbox: string;
  remaining: number;
}

/**
 * Reads a range of a stream in order: raw pulls from a consumer without acknowledgements that the server forgets by
 * itself. Chosen by measurement (docs/adr/0005). A gap, a silence or a deleted consumer starts another one after the
 * last message that was read. Memory is flat: what is asked for is bounded by what has been taken.
 */
export class StreamScan {
  readonly #api: JetStreamApi;
  readonly #range: ScanRange;
  readonly #nc: NatsConnectionLike;
  readonly #slots: readonly [Slot, Slot];
  #subscriptions: NatsSubscription[] = [];
  #consumer: string | undefined;
  #buffer: ScannedMessage[] = [];
  #consumerSequence = 0;
  #last: number;
  #heardAtMs = 0;
  #openedAtMs = 0;
  #broken = false;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(api: JetStreamApi, range: ScanRange) {
    this.#api = api;
    this.#range = range;
    this.#nc = api.nc;
    this.#last = range.from - 1;
    this.#slots = [
      { inbox: inboxOf(this.#nc), remaining: 0 },
      { inbox: inboxOf(this.#nc), remaining: 0 },
    ];
  }

  /**
   * The messages, in lists of at most 1,000. Once the scan has begun, it waits for a server that does not answer.
   * @throws JetStreamApiError where the server refuses (no such stream, no permission), or is away for five minutes
   */
  async *lists(signal?: AbortSignal): AsyncGenerator<readonly ScannedMessage[]> {
    const woken = (): void => this.#wake();
    const timer = setInterval(woken, HEARTBEAT_MS);
    signal?.addEventListener('abort', woken);
    try {
      while (!signal?.aborted) {
        if (this.#buffer.length > 0) {
          yield this.#buffer.splice(0, 1000);
        } else if (this.#ended) {
          return;
        } else if (this.#consumer === undefined || this.#broken || this.#silent()) {
          await this.#open();
        } else {
          this.#pull();
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', woken);
      await this.#close();
    }
  }

  /** A pull is answered or kept alive every second. */
  #silent(): boolean {
    return this.#slots.some(({ remaining }) => remaining > 0) && monotonicMs() - this.#heardAtMs > SILENCE_MS;
  }

  async #open(): Promise<void> {
    await this.#close();
    if (this.#last >= this.#range.to) {
      this.#ended = true;
      return;
    }
    let name: string;
    try {
      const { sinceMs, subjects } = this.#range;
      if (sinceMs !== undefined && this.#last === 0) this.#last = await this.#before(sinceMs);
      const start = { deliver_policy: 'by_start_sequence', opt_start_seq: this.#last + 1 };
      const created = await this.#create({ ...start, filter_subjects: subjects });
      name = created.name;
      this.#ended = created.num_pending === 0;
    } catch (error) {
      const patient = this.#openedAtMs > 0 && monotonicMs() - Math.max(this.#openedAtMs, this.#heardAtMs) < PATIENCE_MS;
      if (!patient || !isTemporary(error) || this.#nc.isClosed()) throw error;
      await new Promise((resolve) => setTimeout(resolve, REOPEN_MS));
      return;
    }
    this.#consumer = name;
    this.#broken = false;
    this.#consumerSequence = 0;
    this.#heardAtMs = this.#openedAtMs = monotonicMs();
    this.#subscriptions = this.#slots.map((slot) => {
      slot.remaining = 0;
      return this.#nc.subscribe(slot.inbox, { callback: (error, msg) => (error ? this.#fail() : this.#received(slot, msg)) });
    });
    this.#pull();
  }

  /**
   * The last sequence that was stored before a time. A consumer with several filters and a start time leaves out messages that
   * match one filter before the first match of another (seen with nats-server 2.15.1), so this asks one without filters.
   */
  async #before(timeMs: number): Promise<number> {
    const { name, delivered } = await this.#create({ deliver_policy: 'by_start_time', opt_start_time: new Date(timeMs).toISOString() });
    await this.#delete(name);
    return delivered.stream_seq;
  }

  #create(config: Config): Promise<ConsumerInfo> {
    const { stream } = this.#range;
    const name = `scan-${createInbox('x').slice(2)}`;
    const common = { name, ack_policy: 'none', mem_storage: true, num_replicas: 1, inactive_threshold: INACTIVE_MS * NS };
    return this.#api.request(`CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config: { ...common, ...config } });
  }

  /** Only a courtesy: the server removes it by itself. */
  async #delete(consumer: string): Promise<void> {
    if (!this.#nc.isClosed()) await this.#api.request(`CONSUMER.DELETE.${this.#range.stream}.${consumer}`).catch(() => undefined);
  }

  async #close(): Promise<void> {
    if (!this.#nc.isClosed()) for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined) await this.#delete(consumer);
  }

  #pull(): void {
    if (this.#consumer === undefined || this.#broken || this.#ended || this.#buffer.length >= BATCH) return;
    const slot = this.#slots.find(({ remaining }) => remaining === 0);
    if (!slot) return;
    if (this.#slots.every(({ remaining }) => remaining === 0)) this.#heardAtMs = monotonicMs();
    slot.remaining = BATCH;
    const request = `{"batch":${BATCH},"max_bytes":${MAX_BYTES},"expires":${EXPIRES_MS * NS},"idle_heartbeat":${HEARTBEAT_MS * NS}}`;
    const subject = `${this.#api.prefix}.CONSUMER.MSG.NEXT.${this.#range.stream}.${this.#consumer}`;
    this.#nc.publish(subject, encoder.encode(request), { reply: slot.inbox });
  }

  #received(slot: Slot, msg: NatsMessage): void {
    this.#heardAtMs = monotonicMs();
    if (msg.subject === slot.inbox) {
      this.#status(slot, msg);
      return;
    }
    slot.remaining--;
    if (this.#broken || this.#ended) return;
    const place = deliveryFacts(msg.reply as string);
    if (place.consumerSequence !== this.#consumerSequence + 1) {
      this.#fail();
      return;
    }
    this.#consumerSequence = place.consumerSequence;
    if (place.sequence > this.#range.to) {
      this.#ended = true;
    } else {
      this.#last = place.sequence;
      this.#buffer.push(new ScannedMessage(msg, place.sequence, place.timeMs));
      if (place.pending === 0 || place.sequence === this.#range.to) this.#ended = true;
    }
    if (slot.remaining === 0) this.#pull();
    this.#wake();
  }

  #status(slot: Slot, { headers }: NatsMessage): void {
    const code = headers?.code ?? 0;
    if (code === 100) return;
    slot.remaining = 0;
    // 404, 408: nothing for now, the pull has expired; 409 is either that its bytes are used up, or that the consumer is gone.
    if (code === 503 || (code === 409 && /deleted|shutdown|leadership/i.test(headers?.description ?? ''))) this.#fail();
    this.#wake();
  }

  #fail(): void {
    this.#broken = true;
    this.#wake();
  }
}

/** Clocks of servers that led a stream one after the other may differ a little. */
const CLOCKS_MS = 60_000;

/** Whether all that follows these messages is later than a time. */
export function isPast(messages: readonly ScannedMessage[], timeMs: number): boolean {
  return (messages.at(-1)?.timeMs ?? 0) > timeMs + CLOCKS_MS;
}

/** No answer, or a server that is not ready. */
function isTemporary(error: unknown): boolean {
  return error instanceof JetStreamApiError && (error.errCode === 0 || error.errCode === 503 || error.errCode === CLUSTER_NOT_AVAILABLE);
}
