import { HEADER, LoopstackError, type Headers } from '@loopstack/shared/contract';
import type { Msg, NatsConnection, Subscription } from 'nats';
import { AckReader, refusal, type PubAck } from './acknowledgement.js';
import { followConnection, inboxOf } from './connection.js';
import { Fifo } from './fifo.js';
import { EncodedHeaders, headerBlock, headerLines } from './header-block.js';

export interface PublisherOptions {
  /** Messages that are written and not yet acknowledged; further callers wait in order. Default 4,096. */
  readonly maxInFlight?: number;
  /** Longest wait for an acknowledgement, in milliseconds, from the moment the message is written. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * While the connection is down: `fail` refuses at once (PUBLISH_UNAVAILABLE), `wait` keeps the message until the
   * connection is back or its timeout has passed. Default `wait`.
   */
  readonly whileDisconnected?: 'fail' | 'wait';
}

/** Makes what the caller gets out of an acknowledgement. One object a publish instead of a chain of promises. */
export interface Receiver<T> {
  acknowledged(stream: string, sequence: number, duplicate: boolean): T;
}

/** A message until it is acknowledged. */
class Pending {
  /** Tick of the sweep at which it times out. */
  deadline = 0;
  /** Tick at which it is written again after an answer that nothing listens; 0: not. */
  resendAt = 0;
  /** Times that it was written. */
  written = 0;
  /** The connection was lost after it was written: it may be stored although nobody will say so. */
  maybeStored = false;

  constructor(
    readonly subject: string,
    readonly data: Uint8Array,
    readonly block: Uint8Array | undefined,
    readonly timeoutMs: number,
    readonly resendable: boolean,
    readonly receiver: Receiver<unknown>,
    readonly resolve: (value: unknown) => void,
    readonly reject: (error: Error) => void,
  ) {}
}

const PLAIN: Receiver<PubAck> = { acknowledged: (stream, sequence, duplicate) => ({ stream, sequence, duplicate }) };

/** Resolution of timeouts. Ticks, not the clock, so that a blocked event loop times out nothing whose answer waits in the socket. */
const TICK_MS = 50;
/** Ticks without a message after which the sweep stops. */
const IDLE_TICKS = 20;
/** Answers `no responders` are normal while a stream elects its leader: written again, as the client library does, before it is an error. */
const UNAVAILABLE_RETRIES = 2;
const RESEND_TICKS = 5;

// Shared by all promises: the executor runs before `new Promise` returns, so two variables carry its functions out.
let resolveLast: (value: unknown) => void;
let rejectLast: (error: Error) => void;
const capture = (resolve: (value: unknown) => void, reject: (error: Error) => void): void => {
  resolveLast = resolve;
  rejectLast = reject;
};

/**
 * Publishes to JetStream with an acknowledgement inbox of its own: one subscription for all answers, one timer for all
 * timeouts, one object and one promise a message.
 *
 * Order: messages are written in the order of the calls, and JetStream stores what one connection writes in that
 * order. After a reconnect, the unacknowledged ones that have a `Nats-Msg-Id` are written again, in order, but others
 * may have been stored in between.
 *
 * A message is on disk only when its promise has resolved. PUBLISH_TIMEOUT says nothing about whether it was stored.
 */
export class Publisher {
  readonly #nc: NatsConnection;
  readonly #maxInFlight: number;
  readonly #timeoutMs: number;
  readonly #failDisconnected: boolean;
  readonly #inbox: string;
  readonly #tokenStart: number;
  readonly #subscription: Subscription;
  readonly #unfollow: () => void;
  readonly #answers = new AckReader();
  readonly #headers = new EncodedHeaders();
  readonly #publishOptions = { reply: '', headers: this.#headers.asMsgHdrs() };
  readonly #replyOnly = { reply: '' };
  /** By token, in the order of writing. A token is used once, so a late answer meets nobody. */
  readonly #pending = new Map<number, Pending>();
  readonly #queue = new Fifo<Pending>();
  #lastToken = 0;
  #tick = 0;
  #idleTicks = 0;
  #timer: NodeJS.Timeout | undefined;
  #connected: boolean;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(nc: NatsConnection, options: PublisherOptions = {}) {
    this.#nc = nc;
    this.#maxInFlight = options.maxInFlight ?? 4096;
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#failDisconnected = options.whileDisconnected === 'fail';
    this.#connected = nc.info !== undefined;
    this.#inbox = `${inboxOf(nc)}.`;
    this.#tokenStart = this.#inbox.length;
    this.#subscription = nc.subscribe(`${this.#inbox}*`, { callback: (error, msg) => this.#answered(error, msg) });
    this.#unfollow = followConnection(nc, {
      disconnected: () => this.#disconnected(),
      reconnected: () => this.#reconnected(),
      denied: (subject) => this.#denied(subject),
      closed: () => this.#end(),
    });
  }

  /** Messages written and not yet acknowledged, and those that wait to be written. */
  get inFlight(): number {
    return this.#pending.size + this.#queue.length;
  }

  /**
   * @throws LoopstackError PUBLISH_TIMEOUT, PUBLISH_UNAVAILABLE, PUBLISH_REFUSED, STREAM_FULL, PAYLOAD_TOO_LARGE,
   *   OPTION_INVALID (headers), CLOSED. `details.errCode` is the server's `err_code`: 10071 for a wrong
   *   `Nats-Expected-Last-Subject-Sequence`.
   */
  publish(subject: string, data: Uint8Array, headers?: Headers, options?: { readonly timeoutMs?: number }): Promise<PubAck> {
    let block: Uint8Array | undefined;
    try {
      if (headers) block = headerBlock(headerLines(headers));
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const resendable = headers?.[HEADER.MSG_ID] !== undefined;
    return this.send(subject, data, block, options?.timeoutMs ?? this.#timeoutMs, resendable, PLAIN);
  }

  /**
   * As `publish`, with encoded headers, and with what the caller gets made by `receiver`. `resendable`: the message has
   * a `Nats-Msg-Id`, so that writing it twice stores it once.
   */
  send<T>(
    subject: string,
    data: Uint8Array,
    block: Uint8Array | undefined,
    timeoutMs: number,
    resendable: boolean,
    receiver: Receiver<T>,
  ): Promise<T> {
    if (this.#closed) return Promise.reject(new LoopstackError('CLOSED'));
    const limit = this.#nc.info?.max_payload;
    if (limit !== undefined) {
      const bytes = data.length + (block?.length ?? 0);
      if (bytes > limit) return Promise.reject(new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit }));
    }
    if (!this.#connected && this.#failDisconnected) return Promise.reject(disconnected(subject));
    const promise = new Promise<T>(capture as never);
    const pending = new Pending(subject, data, block, timeoutMs, resendable, receiver, resolveLast, rejectLast);
    if (this.#timer === undefined) this.#startTimer();
    if (this.#connected && this.#pending.size < this.#maxInFlight && this.#queue.length === 0) {
      this.#write(++this.#lastToken, pending);
    } else {
      if (!this.#connected) pending.deadline = this.#deadline(timeoutMs);
      this.#queue.push(pending);
    }
    return promise;
  }

  /** Refuses new messages, waits for those in flight (each ends with its timeout at the latest), and frees the inbox. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.inFlight > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#end();
  }

  #deadline(timeoutMs: number): number {
    return this.#tick + Math.ceil(timeoutMs / TICK_MS) + 1;
  }

  #write(token: number, pending: Pending): void {
    pending.deadline ||= this.#deadline(pending.timeoutMs);
    this.#pending.set(token, pending);
    this.#emit(token, pending);
  }

  #emit(token: number, pending: Pending): void {
    pending.written++;
    pending.resendAt = 0;
    try {
      if (pending.block === undefined) {
        this.#replyOnly.reply = this.#inbox + token;
        this.#nc.publish(pending.subject, pending.data, this.#replyOnly);
      } else {
        this.#headers.block = pending.block;
        this.#publishOptions.reply = this.#inbox + token;
        this.#nc.publish(pending.subject, pending.data, this.#publishOptions);
      }
    } catch (cause) {
      this.#pending.delete(token);
      const reason = (cause as Error).message;
      pending.reject(
        this.#nc.isClosed() || this.#nc.isDraining()
          ? new LoopstackError('CLOSED', {}, { cause })
          : new LoopstackError('PUBLISH_REFUSED', { subject: pending.subject, reason }, { cause }),
      );
    }
  }

  #answered(error: Error | null, msg: Msg): void {
    if (error) {
      this.#failAll(
        (pending) => new LoopstackError('PUBLISH_UNAVAILABLE', { subject: pending.subject, reason: error.message }, { cause: error }),
      );
      return;
    }
    const subject = msg.subject;
    let token = 0;
    for (let i = this.#tokenStart; i < subject.length; i++) token = token * 10 + (subject.charCodeAt(i) - 0x30);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    const { data } = msg;
    if (data.length === 0) {
      this.#unavailable(token, pending, new LoopstackError('PUBLISH_UNAVAILABLE', { subject: pending.subject, reason: 'no responders' }));
      return;
    }
    const answer = this.#answers.read(data);
    if (answer === undefined) {
      this.#fail(
        token,
        pending,
        new LoopstackError('PUBLISH_REFUSED', { subject: pending.subject, reason: 'the answer is no acknowledgement' }),
      );
    } else if ('error' in answer) {
      const refused = refusal(pending.subject, answer.error, answer.stream, pending.data.length);
      if (refused.code === 'PUBLISH_UNAVAILABLE') this.#unavailable(token, pending, refused);
      else this.#fail(token, pending, refused);
    } else {
      this.#pending.delete(token);
      pending.resolve(pending.receiver.acknowledged(answer.stream, answer.sequence, answer.duplicate));
      this.#refill();
    }
  }

  /**
   * Nothing took the message now. If it was written before the connection was lost, it may be stored all the same: the
   * only true answers are then an acknowledgement or a timeout.
   */
  #unavailable(token: number, pending: Pending, error: LoopstackError): void {
    if (pending.resendable && (pending.maybeStored || pending.written <= UNAVAILABLE_RETRIES)) pending.resendAt = this.#tick + RESEND_TICKS;
    else this.#fail(token, pending, error);
  }

  #fail(token: number, pending: Pending, error: Error): void {
    this.#pending.delete(token);
    pending.reject(error);
    this.#refill();
  }

  #refill(): void {
    if (this.#connected) {
      while (this.#queue.length > 0 && this.#pending.size < this.#maxInFlight)
        this.#write(++this.#lastToken, this.#queue.shift() as Pending);
    }
    if (this.#idle && this.inFlight === 0) this.#idle();
  }

  #failAll(error: (pending: Pending) => Error): void {
    // The queue first: a place that becomes free would be given to its head.
    this.#failQueue(error);
    for (const [token, pending] of [...this.#pending]) this.#fail(token, pending, error(pending));
  }

  #failQueue(error: (pending: Pending) => Error): void {
    while (this.#queue.length > 0) {
      const pending = this.#queue.shift() as Pending;
      pending.reject(error(pending));
    }
    this.#refill();
  }

  #startTimer(): void {
    this.#timer = setInterval(() => this.#sweep(), TICK_MS);
    this.#timer.unref();
  }

  #sweep(): void {
    this.#tick++;
    if (this.inFlight === 0) {
      if (++this.#idleTicks >= IDLE_TICKS) {
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#idleTicks = 0;
      }
      return;
    }
    this.#idleTicks = 0;
    for (const [token, pending] of this.#pending) {
      if (pending.deadline <= this.#tick) this.#fail(token, pending, timedOut(pending));
      else if (this.#connected && pending.resendAt !== 0 && pending.resendAt <= this.#tick) this.#emit(token, pending);
    }
    if (!this.#connected) {
      this.#queue.removeWhere((pending) => {
        const late = pending.deadline <= this.#tick;
        if (late) pending.reject(disconnected(pending.subject));
        return late;
      });
      this.#refill();
    }
  }

  #disconnected(): void {
    this.#connected = false;
    for (const pending of this.#pending.values()) pending.maybeStored = true;
    if (this.#failDisconnected) this.#failQueue((pending) => disconnected(pending.subject));
    else this.#queue.forEach((pending) => (pending.deadline = this.#deadline(pending.timeoutMs)));
  }

  #reconnected(): void {
    this.#connected = true;
    for (const [token, pending] of this.#pending) if (pending.resendable) this.#emit(token, pending);
    this.#refill();
  }

  #denied(subject: string): void {
    for (const [token, pending] of [...this.#pending]) {
      if (pending.subject === subject)
        this.#fail(token, pending, new LoopstackError('PUBLISH_REFUSED', { subject, reason: 'this user may not publish to it' }));
    }
  }

  #end(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unfollow();
    if (!this.#nc.isClosed()) this.#subscription.unsubscribe();
    this.#failAll(() => new LoopstackError('CLOSED'));
  }
}

function disconnected(subject: string): LoopstackError {
  return new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason: 'the connection is down' });
}

function timedOut({ subject, timeoutMs }: Pending): LoopstackError {
  return new LoopstackError('PUBLISH_TIMEOUT', { subject, timeoutMs });
}
