import { HEADER, LoopstackError, type CommandSigner, type Headers, headerLines } from '@loopstack/shared/contract';
import type { NatsConnection } from 'nats';
import { AckReader, IN_PROCESS, isRefusal, refusal, type PubAck } from './pub-ack.js';
import { Grouping, MAX_BATCH, MAX_BATCH_BYTES, takesNoBatches } from './batch.js';
import { followConnection } from '../connection/connection.js';
import { Duplicates } from './duplicates.js';
import { Fifo } from './fifo.js';
import { headerBlock } from './header-block.js';
import { InFlight } from './in-flight.js';
import { Pending, PendingBatch, groupOf, type EncodedMessage, type Receiver } from './pending.js';
import { apiPrefix } from '../api/api-prefix.js';
import { Storage } from '../api/storage.js';
import { StreamReader } from '../read/stream-reader.js';
import { Window } from './window.js';

export interface PublisherOptions {
  /** Most messages that are written and not yet acknowledged; further callers wait in order. Default 4,096. */
  readonly maxInFlight?: number;
  /**
   * Longest wait for an acknowledgement, in milliseconds, from the moment the message is written. Default 5,000. Keep it
   * below the deduplication window of the streams (2 minutes by default).
   */
  readonly timeoutMs?: number;
  /**
   * While the connection is down: `fail` refuses at once (PUBLISH_UNAVAILABLE), `wait` keeps the message until the
   * connection is back or its timeout has passed. Default `wait`.
   */
  readonly whileDisconnected?: 'fail' | 'wait';
  /**
   * Gathers concurrent messages that allow it into atomic batches. Default `auto`: while under load each message costs
   * the server a disk write of its own (`sync_interval: always`).
   */
  readonly groupCommit?: boolean | 'auto';
  /** Called when messages time out and nothing was acknowledged for 5 s, although the connection is up; again after 5 s more. */
  readonly onUnanswered?: (() => void) | undefined;
  /** Called when a stream is found to store nothing, with the error that its callers get, and without one when it stores again. */
  readonly onStorage?: ((stream: string, error: LoopstackError | undefined) => void) | undefined;
  /** JetStream domain of the streams. */
  readonly domain?: string | undefined;
  /** Signs anew what must be stored under another message id. */
  readonly sign?: CommandSigner | undefined;
}

const PUB_ACK: Receiver<PubAck> = { acknowledged: (stream, sequence, duplicate) => ({ stream, sequence, duplicate }) };

/** Resolution of timeouts. Ticks, not the clock, so that a blocked event loop times out nothing whose answer waits in the socket. */
const TICK_MS = 50;
/** How long a publish that has timed out waits to learn why. */
const EXPLAIN_MS = 1000;
/** Ticks without a message after which the sweep stops. */
const IDLE_TICKS = 20;
/**
 * Nobody listens while a stream elects its leader. Where a stream has acknowledged before, that is waited for; elsewhere
 * it rather says that there is no stream, and is an error after two tries more.
 */
const UNAVAILABLE_RETRIES = 2;
const RETRY_TICKS = 5;
/**
 * A message with an id that is not answered for so long is written again, if others were answered that were written after
 * it, or none was at all: it was lost with a leader, or its acknowledgement was. A server that is only slow answers in order.
 */
const UNANSWERED_TICKS = 50;
/** Time without an answer, under timeouts, after which the server is thought to be cut off from the others. */
const UNANSWERED_MOVE_TICKS = 100;
/** Batches on the way: one that the server writes, one that it receives meanwhile. */
const MAX_GROUPS = 2;
const LEAST_GATHERED = 16;
/**
 * The same of batches that callers made. The server keeps 50 open for a stream, and drops what goes beyond without a word;
 * measured, more than these few do not make it faster.
 */
const MAX_BATCHES = 4;

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
 * order. After a reconnect, and when an answer does not come, those that have a `Nats-Msg-Id` are written again, in
 * order, but others may have been stored in between; so it is after a batch that was rejected.
 *
 * A message is on disk only when its promise has resolved. PUBLISH_TIMEOUT says nothing about whether it was stored.
 */
export class Publisher {
  readonly #nc: NatsConnection;
  readonly #timeoutMs: number;
  readonly #failDisconnected: boolean;
  readonly #window: Window;
  readonly #grouping: Grouping;
  readonly #unfollow: () => void;
  readonly #onUnanswered: (() => void) | undefined;
  readonly #onStorage: PublisherOptions['onStorage'];
  readonly #storage: Storage;
  /** Streams that stored nothing when they were last written to. */
  readonly #stuck = new Set<string>();
  readonly #answers = new AckReader();
  readonly #duplicates: Duplicates;
  /** Messages whose acknowledgement says that they were there already, while it is looked at what was. */
  #doubted = 0;
  readonly #inFlight: InFlight;
  readonly #queue = new Fifo<Pending>();
  /** The message written last of those that were acknowledged, and when one was. */
  #answeredToken = 0;
  #answeredAt = 0;
  #refusedAt = 0;
  /** Since when messages time out. */
  #unansweredSince = 0;
  /** Messages that were acknowledged in this tick. */
  #acknowledged = 0;
  #gathering = false;
  /** A stream has acknowledged a message. */
  #proven = false;
  #tick = 0;
  #loop = performance.eventLoopUtilization();
  #idleTicks = 0;
  #timer: NodeJS.Timeout | undefined;
  #connected: boolean;
  #closed = false;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(nc: NatsConnection, options: PublisherOptions = {}) {
    this.#nc = nc;
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#failDisconnected = options.whileDisconnected === 'fail';
    this.#window = new Window(options.maxInFlight ?? 4096, this.#timeoutMs / TICK_MS);
    this.#grouping = new Grouping(options.groupCommit ?? 'auto', TICK_MS);
    this.#onUnanswered = options.onUnanswered;
    this.#onStorage = options.onStorage;
    this.#storage = new Storage(new StreamReader(nc, apiPrefix(options.domain), EXPLAIN_MS));
    this.#duplicates = new Duplicates(new StreamReader(nc, apiPrefix(options.domain), this.#timeoutMs), options.sign);
    this.#connected = nc.info !== undefined;
    this.#inFlight = new InFlight(nc, {
      answered: (token, pending, data) => this.#answered(token, pending, data),
      // Without a batch the last message is refused as well, for another reason.
      opened: (token, pending, data) => isRefusal(data) && this.#answered(token, pending, data),
      deaf: (error) =>
        this.#failAll(({ subject }) => new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason: error.message }, { cause: error })),
    });
    this.#unfollow = followConnection(nc, {
      disconnected: () => this.#disconnected(),
      reconnected: () => this.#reconnected(),
      denied: (subject) => this.#denied(subject),
      closed: () => this.#end(),
    });
  }

  /** Messages written and not yet acknowledged, and those that wait to be written. */
  get inFlight(): number {
    return this.#inFlight.messages + this.#queue.length;
  }

  /**
   * @param options `groupable`: the message may share an atomic batch with others that are published now; they must all
   *   belong to one stream
   * @throws LoopstackError PUBLISH_TIMEOUT, PUBLISH_UNAVAILABLE, PUBLISH_REFUSED, STREAM_FULL, PAYLOAD_TOO_LARGE,
   *   OPTION_INVALID (headers), CLOSED. `details.errCode` is the server's `err_code`: 10071 for a wrong
   *   `Nats-Expected-Last-Subject-Sequence`.
   */
  publish(
    subject: string,
    data: Uint8Array,
    headers?: Headers,
    options?: { readonly timeoutMs?: number; readonly groupable?: boolean },
  ): Promise<PubAck> {
    let block: Uint8Array | undefined;
    try {
      if (headers) block = headerBlock(headerLines(headers));
    } catch (error) {
      const reason: Error = error as Error;
      return Promise.reject(reason);
    }
    const resendable = headers?.[HEADER.MSG_ID] !== undefined;
    return this.send(subject, data, block, options?.timeoutMs ?? this.#timeoutMs, resendable, PUB_ACK, options?.groupable);
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
    groupable = false,
  ): Promise<T> {
    const refused = this.#refused(subject, data.length + (block === undefined ? 0 : block.length));
    if (refused) return Promise.reject(refused);
    const promise = new Promise<T>(capture as never);
    this.#accept(new Pending(subject, data, block, timeoutMs, resendable, groupable, receiver, resolveLast, rejectLast));
    return promise;
  }

  /** A message with a `Nats-Msg-Id` that may share an atomic batch with others. */
  sendOne({ subject, data, block }: EncodedMessage, timeoutMs: number): Promise<PubAck> {
    return this.send(subject, data, block, timeoutMs, true, PUB_ACK, true);
  }

  /**
   * Publishes 2 to 1,000 messages of one stream that are stored together or not at all.
   * @returns the acknowledgement of the last one; the others have the sequences before it
   * @throws LoopstackError as `publish`; `details.errCode` 10201 after a reconnect says that they were stored already
   */
  sendBatch(messages: readonly EncodedMessage[], timeoutMs: number): Promise<PubAck> {
    for (const { subject, data, block } of messages) {
      const refused = this.#refused(subject, data.length + (block === undefined ? 0 : block.length));
      if (refused) return Promise.reject(refused);
    }
    const promise = new Promise<PubAck>(capture as never);
    const batch = new PendingBatch(messages, timeoutMs, true, PUB_ACK, resolveLast, rejectLast);
    batch.group = true;
    // Behind what waits, and where too many are on the way, it waits, too.
    if (this.#connected && this.#inFlight.groups >= MAX_BATCHES) this.#enqueue(batch);
    else this.#accept(batch);
    return promise;
  }

  /** Refuses new messages, waits for those in flight (each ends with its timeout at the latest), and frees the inbox. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (this.inFlight + this.#doubted > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#end();
  }

  #refused(subject: string, bytes: number): LoopstackError | undefined {
    if (this.#closed) return new LoopstackError('CLOSED');
    if (!this.#connected && this.#failDisconnected) return disconnected(subject);
    const limit = this.#nc.info?.max_payload;
    return limit !== undefined && bytes > limit ? new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit }) : undefined;
  }

  #accept(pending: Pending): void {
    if (this.#timer === undefined) this.#startTimer();
    if (!this.#connected) {
      pending.deadline = this.#deadline(pending.timeoutMs);
      this.#enqueue(pending);
    } else if (pending.groupable && this.#grouping.on) {
      this.#enqueue(pending);
      this.#gather();
    } else if (this.#queue.length === 0 && this.#inFlight.messages < this.#room) {
      this.#write(pending);
    } else {
      this.#enqueue(pending);
    }
  }

  #enqueue(pending: Pending): void {
    if (this.#timer === undefined) this.#startTimer();
    pending.queuedAt = this.#tick;
    this.#queue.push(pending);
  }

  get #room(): number {
    return Math.min(this.#window.size, this.#grouping.limit);
  }

  /** A handful of messages is written faster one by one than as batches of two or three. */
  get #gathers(): boolean {
    return this.#grouping.on && this.inFlight >= LEAST_GATHERED;
  }

  /** What is published in this turn of the event loop goes together. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    queueMicrotask(() => {
      this.#gathering = false;
      this.#refill();
    });
  }

  #deadline(timeoutMs: number): number {
    return this.#tick + Math.ceil(timeoutMs / TICK_MS) + 1;
  }

  #write(pending: Pending): void {
    if (pending.deadline === 0) pending.deadline = this.#deadline(pending.timeoutMs);
    this.#emit(this.#inFlight.add(pending), pending);
  }

  #emit(token: number, pending: Pending): void {
    pending.written++;
    pending.unavailable = undefined;
    pending.resendAt = pending.resendable ? this.#tick + Math.min(UNANSWERED_TICKS, Math.ceil(pending.timeoutMs / TICK_MS / 2)) : 0;
    try {
      this.#inFlight.write(token, pending);
    } catch (cause) {
      this.#inFlight.remove(token, pending);
      const closed = this.#nc.isClosed() || this.#nc.isDraining();
      const details = { subject: pending.subject, reason: (cause as Error).message };
      pending.reject(closed ? new LoopstackError('CLOSED', {}, { cause }) : new LoopstackError('PUBLISH_REFUSED', details, { cause }));
    }
  }

  #answered(token: number, pending: Pending, data: Uint8Array): void {
    const { subject } = pending;
    if (data.length === 0) {
      const error = new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason: 'no responders' });
      this.#unavailable(token, pending, error, !pending.maybeStored);
      return;
    }
    const answer = this.#answers.read(data);
    if (answer === undefined) {
      this.#fail(token, pending, new LoopstackError('PUBLISH_REFUSED', { subject, reason: 'the answer is no acknowledgement' }));
    } else if ('error' in answer) {
      const refused = refusal(subject, answer.error, answer.stream, pending.bytes);
      // An earlier writing of it waits for a majority: whether it is stored is not known yet.
      const inProcess = IN_PROCESS.has(refused.details['errCode']);
      if (inProcess) pending.maybeStored = true;
      // A group may be refused for two of its own messages, and would be for ever.
      const alone = inProcess && pending.members !== undefined;
      if (refused.code === 'PUBLISH_UNAVAILABLE' && !alone) this.#unavailable(token, pending, refused, false);
      else {
        this.#refusedAt = this.#tick;
        this.#fail(token, pending, refused);
      }
    } else {
      this.#inFlight.remove(token, pending);
      if (token > this.#answeredToken) this.#answeredToken = token;
      this.#answeredAt = this.#tick;
      this.#acknowledged += pending.size;
      this.#proven = true;
      if (this.#stuck.size > 0) this.#stores(answer.stream);
      if (pending.members) this.#grouping.acknowledged();
      if (answer.duplicate) this.#doubt(pending, answer);
      else pending.resolve(pending.receiver.acknowledged(answer.stream, answer.sequence, false));
      this.#refill();
    }
  }

  /** The server goes by the message id: what it has under this one may be something else. */
  #doubt(pending: Pending, { stream, sequence }: PubAck): void {
    this.#doubted++;
    const { subject, data, block, timeoutMs, receiver, resolve, reject } = pending;
    void this.#duplicates
      .instead(pending, stream, sequence)
      .then((instead) => {
        if (instead === undefined) resolve(receiver.acknowledged(stream, sequence, true));
        else this.#accept(new Pending(subject, data, instead.block ?? block, timeoutMs, true, false, receiver, resolve, reject));
      }, reject)
      .finally(() => {
        this.#doubted--;
        this.#refill();
      });
  }

  /**
   * Nothing took the message now. If an earlier writing of it was not answered, it may be stored all the same: the only
   * true answers are then an acknowledgement or a timeout.
   * @param unseen nobody has seen the message, so that it can be written again even without an id
   */
  #unavailable(token: number, pending: Pending, error: LoopstackError, unseen: boolean): void {
    const patient = this.#proven || pending.maybeStored || pending.written <= UNAVAILABLE_RETRIES;
    if (patient && (pending.resendable || unseen)) {
      pending.unavailable = error;
      pending.resendAt = this.#tick + RETRY_TICKS;
    } else {
      this.#fail(token, pending, error);
    }
  }

  /** The caller learns why, where that can be learned. */
  #timedOut(token: number, pending: Pending): void {
    const error = pending.timedOut();
    if (error.code !== 'PUBLISH_TIMEOUT' || !this.#connected) {
      this.#fail(token, pending, error);
      return;
    }
    this.#inFlight.remove(token, pending);
    void this.#storage.explain(pending.subject, pending.timeoutMs, error).then((told) => {
      if (told.code === 'STORAGE_FAILED') {
        this.#stuck.add(String(told.details['stream']));
        this.#onStorage?.(String(told.details['stream']), told);
      }
      pending.reject(told);
    });
    this.#refill();
  }

  #stores(stream: string): void {
    if (this.#stuck.delete(stream)) this.#onStorage?.(stream, undefined);
  }

  #fail(token: number, pending: Pending, error: Error): void {
    this.#inFlight.remove(token, pending);
    pending.reject(error);
    this.#refill();
  }

  #refill(): void {
    while (this.#connected && this.#queue.length > 0 && this.#inFlight.messages < this.#room) {
      const head = this.#queue.peek() as Pending;
      // In order: what comes after a batch that waits, waits, too.
      if (head.size > 1 && this.#inFlight.groups >= MAX_BATCHES) break;
      if (this.#gathers && head.groupable) {
        // While answers come: one that takes the last free places would be a small one, and hold up those behind it.
        const free = this.#room - this.#inFlight.messages;
        if (this.#inFlight.groups >= MAX_GROUPS || (this.#moves && free < Math.min(this.#queue.length, this.#room / MAX_GROUPS))) break;
        this.#writeGroup(Math.min(MAX_BATCH, free));
      } else {
        this.#write(this.#queue.shift() as Pending);
      }
    }
    if (this.#idle && this.inFlight + this.#doubted === 0) this.#idle();
  }

  #writeGroup(room: number): void {
    const members: Pending[] = [];
    for (let bytes = 0; members.length < room && bytes < MAX_BATCH_BYTES;) {
      const next = this.#queue.peek();
      if (!next?.groupable) break;
      bytes += next.bytes;
      members.push(this.#queue.shift() as Pending);
    }
    const [first] = members as [Pending];
    if (members.length === 1) {
      first.group = true;
      this.#write(first);
      return;
    }
    this.#write(groupOf(members, (error) => this.#ungroup(members, error)));
  }

  /** The server rejects a batch for one of its messages; alone, each gets its own answer. */
  #ungroup(members: readonly Pending[], error: Error): void {
    if (takesNoBatches(error)) this.#grouping.giveUp();
    const { code } = error as LoopstackError;
    for (const member of members) {
      if (code === 'PUBLISH_TIMEOUT') member.reject(member.timedOut());
      else if (code === 'CLOSED' || code === 'STORAGE_FAILED') member.reject(error);
      else this.#write(member);
    }
  }

  #failAll(error: (pending: Pending) => Error): void {
    // The queue first: a place that becomes free would be given to its head.
    this.#failQueue(error);
    for (const [token, pending] of [...this.#inFlight.entries()]) this.#fail(token, pending, error(pending));
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
    this.#window.tick(this.#acknowledged, this.#connected && this.#queue.length > 0);
    const loop = performance.eventLoopUtilization();
    this.#grouping.tick(
      this.#acknowledged,
      this.#connected ? this.inFlight : 0,
      performance.eventLoopUtilization(loop, this.#loop).utilization,
    );
    this.#loop = loop;
    this.#acknowledged = 0;
    if (this.inFlight === 0) {
      if (++this.#idleTicks >= IDLE_TICKS) {
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#idleTicks = 0;
      }
      return;
    }
    this.#idleTicks = 0;
    for (const [token, pending] of this.#inFlight.entries()) {
      if (pending.deadline <= this.#tick) {
        this.#timedOut(token, pending);
        this.#unanswered(pending);
      } else if (this.#connected && pending.resendAt !== 0 && pending.resendAt <= this.#tick && this.#isLost(token, pending)) {
        pending.maybeStored ||= pending.unavailable === undefined;
        this.#emitAgain(token, pending);
      }
    }
    if (!this.#connected) {
      this.#queue.removeWhere((pending) => {
        const late = pending.deadline <= this.#tick;
        if (late) pending.reject(disconnected(pending.subject));
        return late;
      });
    } else if (this.#queue.length > 0 && !this.#moves) {
      this.#failStalled();
    }
    this.#refill();
  }

  /** When an answer settled a message for the last time: a queue that moves on is no reason to give up. */
  get #movedAt(): number {
    return Math.max(this.#answeredAt, this.#refusedAt);
  }

  get #moves(): boolean {
    return this.#movedAt >= this.#tick - 1;
  }

  /** Ends what waits in the queue, was never written, and has seen nothing move for longer than its timeout. */
  #failStalled(): void {
    const moved = this.#movedAt;
    this.#queue.removeWhere((pending) => {
      const stalled = this.#tick - Math.max(moved, pending.queuedAt) > Math.ceil(pending.timeoutMs / TICK_MS);
      if (stalled) pending.reject(stalledQueue(pending));
      return stalled;
    });
  }

  /** A server that is cut off from the others takes messages all the same. */
  #unanswered({ deadline, timeoutMs }: Pending): void {
    if (!this.#connected) return;
    if (this.#unansweredSince <= this.#answeredAt) {
      const written = deadline - Math.ceil(timeoutMs / TICK_MS) - 1;
      this.#unansweredSince = Math.max(this.#answeredAt + 1, written);
    }
    if (this.#tick - this.#unansweredSince < UNANSWERED_MOVE_TICKS) return;
    this.#unansweredSince = this.#tick;
    this.#onUnanswered?.();
  }

  #isLost(token: number, pending: Pending): boolean {
    return pending.unavailable !== undefined || token < this.#answeredToken || this.#tick - this.#answeredAt >= UNANSWERED_TICKS;
  }

  #disconnected(): void {
    this.#connected = false;
    for (const [, pending] of this.#inFlight.entries()) pending.maybeStored = true;
    if (this.#failDisconnected) this.#failQueue((pending) => disconnected(pending.subject));
    else this.#queue.forEach((pending) => (pending.deadline = this.#deadline(pending.timeoutMs)));
  }

  #reconnected(): void {
    this.#connected = true;
    this.#answeredAt = this.#tick;
    for (const [token, pending] of [...this.#inFlight.entries()]) {
      if (pending.resendable) this.#emitAgain(token, pending);
      else if (pending.members) this.#resendMembers(token, pending, pending.members);
    }
    this.#refill();
  }

  /** What it may have been refused for as a group, each of its members is told alone. */
  #emitAgain(token: number, pending: Pending): void {
    if (pending.maybeStored) for (const member of pending.members ?? []) member.maybeStored = true;
    this.#emit(token, pending);
  }

  /** Each alone, where that stores it once; the others have their timeout to wait for. */
  #resendMembers(token: number, batch: Pending, members: readonly Pending[]): void {
    this.#inFlight.remove(token, batch);
    for (const member of members) {
      member.maybeStored = true;
      member.deadline = batch.deadline;
      if (member.resendable) this.#write(member);
      else this.#inFlight.add(member);
    }
  }

  #denied(subject: string): void {
    const error = new LoopstackError('PUBLISH_REFUSED', { subject, reason: 'this user may not publish to it' });
    for (const [token, pending] of [...this.#inFlight.entries()]) if (pending.writes(subject)) this.#fail(token, pending, error);
  }

  #end(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unfollow();
    this.#inFlight.close();
    this.#failAll(() => new LoopstackError('CLOSED'));
  }
}

function stalledQueue({ subject, timeoutMs }: Pending): LoopstackError {
  return new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason: `nothing was acknowledged for ${timeoutMs} ms` });
}

function disconnected(subject: string): LoopstackError {
  return new LoopstackError('PUBLISH_UNAVAILABLE', { subject, reason: 'the connection is down' });
}
