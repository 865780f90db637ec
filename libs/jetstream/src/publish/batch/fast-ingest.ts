import { type Bulk, type BulkListener } from '@loopstack/shared/contract';
import type { NatsConnectionLike, NatsSubscription } from '../../connection/nats-connection.js';
import { followConnection, inboxOf } from '../../connection/connection.js';
import { Fifo } from '../queue/fifo.js';
import { FrameWriter } from '../frames.js';
import type { EncodedMessage } from '../queue/pending.js';

interface Entry<T> {
  readonly message: EncodedMessage;
  readonly tag: T;
}

interface Answer {
  readonly type?: 'ack' | 'gap' | 'err';
  readonly seq?: number;
  readonly msgs?: number;
  readonly count?: number;
  readonly error?: unknown;
}

/** Messages after which the server acknowledges; it answers with what it will do. */
const FLOW = 250;
/** Acknowledgements that may be outstanding. */
const AHEAD = 3;
/** The first batch is a small one: where each message costs a disk write of its own, more would take seconds. */
const TRIAL_FLOW = 50;
const TRIAL = TRIAL_FLOW * AHEAD;
/** Messages a second of the trial below which atomic batches are faster. */
const SLOW_PER_SECOND = 5_000;
const TICK_MS = 50;
const START = 0;
const APPEND = 1;
const END = 3;
/** Ticks without an answer after which the server is thought to be slow. */
const SLOW_TICKS = 2;

/**
 * Writes messages with a `Nats-Msg-Id` to one stream as fast-ingest batches (NATS ADR-50, nats-server 2.14): the server
 * acknowledges every 250th for all before it. Whatever goes wrong ends a batch, and what it may have lost is handed
 * back. Gives up for good where it is not possible, or not faster.
 */
export class FastIngest<T> implements Bulk<EncodedMessage, T> {
  readonly #nc: NatsConnectionLike;
  readonly #listener: BulkListener<T>;
  readonly #timeoutTicks: number;
  readonly #onGivenUp: () => void;
  readonly #frames: FrameWriter;
  readonly #unfollow: () => void;
  /** Written and not acknowledged. */
  readonly #written = new Fifo<Entry<T>>();
  readonly #queue = new Fifo<Entry<T>>();
  #subscription: NatsSubscription | undefined;
  #reply = '';
  /** Sequence in the batch of what was written last. */
  #sequence = 0;
  #acknowledged = 0;
  /** Messages that the server's last answer allows to be written without another one. */
  #flow = 0;
  #ending = false;
  #flushing = false;
  #usable = true;
  #connected: boolean;
  /** Of the last message: where the one that ends the batch goes. */
  #subject = '';
  #timer: NodeJS.Timeout | undefined;
  #quietTicks = 0;
  #idle = true;
  #trial = true;
  #firstAckAt = 0;

  /** @param onGivenUp called when it is not possible, or not faster, on this server and stream */
  constructor(nc: NatsConnectionLike, timeoutMs: number, listener: BulkListener<T>, onGivenUp: () => void = () => {}) {
    this.#nc = nc;
    this.#frames = new FrameWriter(nc);
    this.#onGivenUp = onGivenUp;
    this.#listener = listener;
    this.#timeoutTicks = Math.ceil(timeoutMs / TICK_MS);
    this.#connected = nc.info !== undefined;
    this.#unfollow = followConnection(nc, {
      disconnected: () => {
        this.#connected = false;
        this.#end();
      },
      reconnected: () => (this.#connected = true),
      closed: () => this.close(),
    });
  }

  get usable(): boolean {
    return this.#usable && this.#connected;
  }

  /** Takes a message; false: it must go another way. */
  put(message: EncodedMessage, tag: T): boolean {
    if (!this.usable) return false;
    this.#idle = this.#flushing = false;
    this.#queue.push({ message, tag });
    this.#write();
    return true;
  }

  /** No more is to come for now: what is written is acknowledged at once. */
  flush(): void {
    this.#flushing = true;
    if (this.#queue.length === 0) this.#finish();
  }

  close(): void {
    this.#usable = false;
    this.#unfollow();
    this.#end();
    clearInterval(this.#timer);
  }

  #write(): void {
    if (this.#queue.length > 0 && this.#subscription === undefined) this.#open();
    while (this.#queue.length > 0 && !this.#ending && this.#sequence < this.#acknowledged + Math.max(1, this.#flow * AHEAD)) {
      const entry = this.#queue.shift() as Entry<T>;
      this.#written.push(entry);
      this.#subject = entry.message.subject;
      this.#emit(entry.message, this.#sequence === 0 ? START : APPEND);
      if (this.#trial && this.#sequence === TRIAL) this.#finish();
    }
  }

  #open(): void {
    const inbox = inboxOf(this.#nc);
    this.#reply = `${inbox}.${this.#trial ? TRIAL_FLOW : FLOW}.fail.`;
    this.#sequence = this.#acknowledged = this.#flow = this.#quietTicks = 0;
    this.#ending = false;
    this.#subscription = this.#nc.subscribe(`${inbox}.>`, { callback: (error, msg) => (error ? this.#end() : this.#answered(msg.data)) });
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  #emit({ subject, data, block }: EncodedMessage, operation: number): void {
    try {
      this.#frames.write(subject, `${this.#reply}${++this.#sequence}.${operation}.$FI`, block, data);
    } catch {
      // The connection is closed or drained: said to each caller by the way that what is left goes.
      this.#usable = false;
      this.#end();
    }
  }

  #answered(data: Uint8Array): void {
    let answer: Answer;
    try {
      answer = JSON.parse(Buffer.from(data).toString()) as Answer;
    } catch {
      // Empty: no responders.
      return this.#end();
    }
    this.#quietTicks = 0;
    if (answer.type === 'ack') {
      this.#flow = answer.msgs ?? this.#flow;
      this.#stored((answer.seq ?? 0) - this.#acknowledged);
      if (this.#trial) this.#judge();
      this.#write();
      if (this.#flushing && this.#queue.length === 0) this.#finish();
    } else if (answer.error !== undefined && answer.type === undefined) {
      // Not on this server, or not on this stream, or the batch is forgotten.
      if (this.#acknowledged === 0) this.#giveUp();
      this.#end();
    } else if (answer.count !== undefined) {
      this.#stored(answer.count - this.#acknowledged);
      this.#end();
    }
    // A gap or an error is followed by the acknowledgement that ends the batch.
  }

  #stored(count: number): void {
    if (count <= 0) return;
    this.#acknowledged += count;
    const tags: T[] = [];
    for (let i = 0; i < count; i++) {
      const entry = this.#written.shift();
      // The message that only ends a batch has none.
      if (entry) tags.push(entry.tag);
    }
    this.#listener.stored(tags);
  }

  #tick(): void {
    if (this.#subscription === undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (++this.#quietTicks >= this.#timeoutTicks) this.#end();
    else if (this.#quietTicks > SLOW_TICKS && this.#queue.length > 0) {
      this.#giveUp();
      this.#finish();
    }
    // The server acknowledges the rest of a batch when it ends, and forgets one that pauses for 10 s.
    else if (this.#idle && this.#queue.length === 0) this.#finish();
    this.#idle = true;
  }

  /** By the time between acknowledgements of what was written at once: round trips are not in it. */
  #judge(): void {
    if (this.#acknowledged === TRIAL_FLOW) this.#firstAckAt = performance.now();
    if (this.#acknowledged < TRIAL) return;
    this.#trial = false;
    if (((TRIAL - TRIAL_FLOW) * 1000) / (performance.now() - this.#firstAckAt) < SLOW_PER_SECOND) this.#giveUp();
  }

  #giveUp(): void {
    this.#usable = false;
    this.#onGivenUp();
  }

  /** Asks for the acknowledgement of the whole batch. */
  #finish(): void {
    if (this.#subscription === undefined || this.#ending || this.#flow === 0) return;
    this.#ending = true;
    this.#emit({ subject: this.#subject, data: new Uint8Array(0), block: NO_HEADERS }, END);
  }

  /** Begins anew with what waits; what was written and not acknowledged is handed back. */
  #end(): void {
    if (this.#subscription && !this.#nc.isClosed()) this.#subscription.unsubscribe();
    this.#subscription = undefined;
    const left: T[] = [];
    for (let entry = this.#written.shift(); entry; entry = this.#written.shift()) left.push(entry.tag);
    if (!this.usable) for (let entry = this.#queue.shift(); entry; entry = this.#queue.shift()) left.push(entry.tag);
    if (left.length > 0) this.#listener.left(left);
    this.#write();
  }
}

const NO_HEADERS = Buffer.from('NATS/1.0\r\n\r\n');
