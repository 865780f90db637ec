import { LoopstackError } from '@loopstack/shared/contract';
import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { followConnection } from '../connection/connection.js';
import { whyNoResponders } from '../connection/unanswered.js';
import { Storage } from '../api/storage.js';
import { JetStreamApi } from '../api/jetstream-api.js';
import { StreamReader } from '../read/stream-reader.js';
import { Answers } from './answers.js';
import { Duplicates } from './duplicates.js';
import { GroupCommit, MAX_BATCHES, groupSize } from './batch/group-commit.js';
import { InFlight } from './queue/in-flight.js';
import type { Pending } from './queue/pending.js';
import { isRefusal, type PubAck } from './pub-ack.js';
import { disconnected, refused, unavailable } from './publish-errors.js';
import { PublishQueue } from './queue/publish-queue.js';
import type { ResolvedPublisherOptions } from './publisher-options.js';
import { deadlineAt, isDue, resendAt } from './retransmission.js';
import { StallDetector } from './stall-detector.js';
import { TICK_MS, TickTimer } from './queue/ticks.js';
import { Window } from './queue/window.js';

/** How long a publish that has timed out waits to learn why. */
const EXPLAIN_MS = 1000;

/** Writes messages as the window allows, writes lost ones again, and settles each with its answer, or with the end of its time. */
export class Transmitter {
  readonly #nc: NatsConnectionLike;
  readonly #failDisconnected: boolean;
  readonly #onUnanswered: (() => void) | undefined;
  readonly #unfollow: () => void;
  readonly #timer = new TickTimer(() => this.#sweep());
  readonly #stall = new StallDetector();
  readonly #groups: GroupCommit;
  readonly #window: Window;
  readonly #queue = new PublishQueue();
  readonly #inFlight: InFlight;
  readonly #answers: Answers;
  readonly #storage: Storage;
  readonly #duplicates: Duplicates;
  /** Messages that the server takes for duplicates, while `#duplicates` checks what it has. */
  #uncertain = 0;
  /** Messages that were acknowledged in this tick. */
  #acknowledged = 0;
  #connected: boolean;
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(nc: NatsConnectionLike, options: ResolvedPublisherOptions) {
    this.#nc = nc;
    this.#answers = new Answers(this.#stall, () => whyNoResponders(nc));
    this.#failDisconnected = options.whileDisconnected === 'fail';
    this.#onUnanswered = options.onUnanswered;
    this.#groups = new GroupCommit(options.groupCommit, () => this.#refill());
    this.#window = new Window(options.maxInFlight, options.timeoutMs / TICK_MS);
    this.#storage = new Storage(new JetStreamApi(nc, options.domain, EXPLAIN_MS), options.onStorage);
    this.#duplicates = new Duplicates(new StreamReader(new JetStreamApi(nc, options.domain, options.timeoutMs)), options.sign);
    this.#connected = nc.info !== undefined;
    this.#inFlight = new InFlight(nc, {
      answered: (token, pending, data) => this.#answered(token, pending, data),
      // Without a batch the last message is refused as well, for another reason.
      opened: (token, pending, data) => isRefusal(data) && this.#answered(token, pending, data),
      inboxDenied: (error) => this.#failAll(({ subject }) => unavailable(subject, error.message, error)),
    });
    this.#unfollow = followConnection(nc, {
      disconnected: () => this.#disconnected(),
      reconnected: () => this.#reconnected(),
      denied: (subject) => this.#denied(subject),
      closed: () => this.end(),
    });
  }

  /** Messages written and not yet acknowledged, and those that wait to be written. */
  get unsettled(): number {
    return this.#inFlight.messages + this.#queue.length;
  }

  /** Why a message is not accepted, if so. */
  refusal(subject: string, bytes: number): LoopstackError | undefined {
    if (this.#closed) return new LoopstackError('CLOSED');
    if (!this.#connected && this.#failDisconnected) return disconnected(subject);
    const limit = this.#nc.info?.max_payload;
    return limit !== undefined && bytes > limit ? new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit }) : undefined;
  }

  accept(pending: Pending): void {
    this.#timer.start();
    if (!this.#connected) {
      pending.deadline = deadlineAt(pending.timeoutMs, this.#timer.now);
      this.#queue.enqueue(pending, this.#timer.now);
    } else if (this.#groups.takes(pending)) {
      this.#queue.enqueue(pending, this.#timer.now);
      this.#groups.writeAfterTurn();
    } else if (this.#queue.length === 0 && this.#inFlight.messages < this.#room && !this.#isHeldBack(pending)) {
      this.#write(pending);
    } else {
      this.#queue.enqueue(pending, this.#timer.now);
    }
  }

  /** Accepts no more messages, and ends when every one is settled. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.unsettled + this.#uncertain > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.end();
  }

  /** Rejects what is not settled, and frees the inbox. */
  end(): void {
    this.#closed = true;
    this.#timer.stop();
    this.#unfollow();
    this.#inFlight.close();
    this.#failAll(() => new LoopstackError('CLOSED'));
  }

  /** Messages that may be in flight. */
  get #room(): number {
    return Math.min(this.#window.size, this.#groups.limit);
  }

  /** A batch that a caller made waits while too many are on the way. */
  #isHeldBack({ group }: Pending): boolean {
    return group && this.#inFlight.groups >= MAX_BATCHES;
  }

  #write(pending: Pending): void {
    if (pending.deadline === 0) pending.deadline = deadlineAt(pending.timeoutMs, this.#timer.now);
    this.#emit(this.#inFlight.add(pending), pending);
  }

  #emit(token: number, pending: Pending): void {
    pending.written++;
    pending.unavailable = undefined;
    pending.resendAt = resendAt(pending, this.#timer.now);
    try {
      this.#inFlight.write(token, pending);
    } catch (cause) {
      this.#inFlight.remove(token, pending);
      const closed = this.#nc.isClosed() || this.#nc.isDraining();
      pending.reject(closed ? new LoopstackError('CLOSED', {}, { cause }) : refused(pending.subject, (cause as Error).message, cause));
    }
  }

  #refill(): void {
    while (this.#connected && this.#queue.length > 0 && this.#inFlight.messages < this.#room) {
      const head = this.#queue.peek() as Pending;
      // In order: whatever comes after a batch that waits has to wait, too.
      if (this.#isHeldBack(head)) break;
      if (this.#groups.gathers(head, this.unsettled)) {
        const { messages, groups } = this.#inFlight;
        const size = groupSize({ room: this.#room, messages, groups }, this.#queue.length, this.#stall.moves(this.#timer.now));
        if (size === 0) break;
        this.#write(this.#groups.take(this.#queue, size, (member) => this.#write(member)));
      } else {
        this.#write(this.#queue.shift() as Pending);
      }
    }
    if (this.#onIdle && this.unsettled + this.#uncertain === 0) this.#onIdle();
  }

  #answered(token: number, pending: Pending, data: Uint8Array): void {
    const usual = this.#answers.sequenceIn(data);
    const answer = usual > 0 ? undefined : this.#answers.read(pending, data, this.#timer.now);
    if (answer instanceof LoopstackError) {
      this.#fail(token, pending, answer);
      return;
    }
    if (usual === 0 && answer === undefined) return;
    this.#inFlight.remove(token, pending);
    this.#stall.acknowledged(token, this.#timer.now);
    this.#acknowledged += pending.size;
    if (pending.members) this.#groups.acknowledged();
    this.#storage.stores(this.#answers.stream);
    if (answer?.duplicate) this.#checkDuplicate(pending, answer);
    else pending.resolve(pending.receiver.acknowledged(this.#answers.stream, answer?.sequence ?? usual, false));
    this.#refill();
  }

  /** The server goes by the message id: the message that it has under this one may be another. */
  #checkDuplicate(pending: Pending, { stream, sequence }: PubAck): void {
    this.#uncertain++;
    void this.#duplicates
      .instead(pending, stream, sequence)
      .then((instead) => {
        if (instead === undefined) pending.resolve(pending.receiver.acknowledged(stream, sequence, true));
        else this.accept(pending.replacedBy(instead));
      }, pending.reject)
      .finally(() => {
        this.#uncertain--;
        this.#refill();
      });
  }

  /** Tells the caller why, if that can be learned. */
  #timedOut(token: number, pending: Pending): void {
    const error = pending.timedOut();
    if (error.code !== 'PUBLISH_TIMEOUT' || !this.#connected) {
      this.#fail(token, pending, error);
    } else {
      this.#inFlight.remove(token, pending);
      void this.#storage.explain(pending.subject, pending.timeoutMs, error).then(pending.reject);
      this.#refill();
    }
    if (this.#connected && this.#stall.isCutOff(pending, this.#timer.now)) this.#onUnanswered?.();
  }

  #fail(token: number, pending: Pending, error: Error): void {
    this.#inFlight.remove(token, pending);
    pending.reject(error);
    this.#refill();
  }

  #failAll(error: (pending: Pending) => Error): void {
    // The queue first: a place that becomes free would be given to its head.
    this.#queue.rejectAll(error);
    this.#refill();
    for (const [token, pending] of [...this.#inFlight.entries()]) this.#fail(token, pending, error(pending));
  }

  /** @returns whether any message is unsettled */
  #sweep(): boolean {
    const tick = this.#timer.now;
    this.#window.tick(this.#acknowledged, this.#connected && this.#queue.length > 0);
    this.#groups.tick(this.#acknowledged, this.#connected ? this.unsettled : 0);
    this.#acknowledged = 0;
    if (this.unsettled === 0) return false;
    for (const [token, pending] of this.#inFlight.entries()) {
      if (pending.deadline <= tick) this.#timedOut(token, pending);
      else if (this.#connected && isDue(token, pending, this.#stall, tick)) {
        pending.maybeStored ||= pending.unavailable === undefined;
        this.#emitAgain(token, pending);
      }
    }
    if (this.#connected) this.#queue.rejectStalled(this.#stall, tick);
    else this.#queue.rejectLate(tick);
    this.#refill();
    return true;
  }

  #disconnected(): void {
    this.#connected = false;
    for (const [, pending] of this.#inFlight.entries()) pending.maybeStored = true;
    if (this.#failDisconnected) {
      this.#queue.rejectAll(({ subject }) => disconnected(subject));
      this.#refill();
    } else {
      this.#queue.startDeadlines(this.#timer.now);
    }
  }

  #reconnected(): void {
    this.#connected = true;
    this.#stall.restarted(this.#timer.now);
    for (const [token, pending] of [...this.#inFlight.entries()]) {
      if (pending.resendable) this.#emitAgain(token, pending);
      else if (pending.members) this.#resendMembers(token, pending, pending.members);
    }
    this.#refill();
  }

  /** Each member is told alone why the server refuses a group, so each has to know that it may be stored. */
  #emitAgain(token: number, pending: Pending): void {
    if (pending.maybeStored) for (const member of pending.members ?? []) member.maybeStored = true;
    this.#emit(token, pending);
  }

  /** Writes each alone that is stored once all the same; the others wait for the end of their time. */
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
    const error = refused(subject, 'this user may not publish to it');
    for (const [token, pending] of [...this.#inFlight.entries()]) if (pending.writes(subject)) this.#fail(token, pending, error);
  }
}
