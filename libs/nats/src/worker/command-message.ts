import type { Delivery, Execution } from '@loopstack/core';
import { deliveryFacts, RawHeaders, replyOf, type AckWriter, type NatsMessage } from '@loopstack/jetstream';
import type { LeaseTable } from '../leases/lease-table.js';

const IN_PROGRESS = '+WPI';

/** Whoever holds messages until they are settled. */
export interface MessageOwner {
  settled(message: CommandMessage): void;
}

/**
 * A command that this worker holds: delivered, and leased until it is settled.
 */
export class CommandMessage implements Delivery {
  readonly headers: RawHeaders;
  readonly sequence: number;
  readonly timeMs: number;
  /** Commands that wait behind this one in the stream. */
  readonly pending: number;
  /** Grows by one with each delivery by the consumer, to whichever worker. */
  readonly consumerSequence: number;
  /** The delivery with which this worker began. */
  deliveries: number;
  /** The last delivery that it holds. */
  lastDelivery: number;
  /** The server may have forgotten an earlier delivery, so the count says nothing. */
  doubtful = false;
  /** It counts among those that were delivered before, of which a lane holds only so many. */
  again = false;
  /** Place in the table of leases, or -1. */
  #slot = -1;
  /** Where the delivery is answered. */
  #reply: string;
  #leasedAtMs = 0;
  /** Id of the run, once it is known. */
  runId: string | undefined;
  /** With an idempotency key: what the run is asked to do. */
  content: string | undefined;
  execution: Execution | undefined;
  /** Sequence of the last message on the run's event subject that this worker knows; the fence. */
  eventSequence = 0;
  /** Progress events that are being recorded, in order. */
  progressing: Promise<void> | undefined;
  /** It is in its last attempt after one that died untold, and others like it run in this process. */
  beside = false;
  #settled = false;

  constructor(
    private readonly answers: AckWriter,
    private msg: NatsMessage,
    private readonly table: LeaseTable,
    readonly lane: MessageOwner,
  ) {
    this.#reply = replyOf(msg);
    const facts = deliveryFacts(this.#reply);
    this.deliveries = facts.deliveries;
    this.lastDelivery = facts.deliveries;
    this.sequence = facts.sequence;
    this.consumerSequence = facts.consumerSequence;
    this.timeMs = facts.timeMs;
    this.pending = facts.pending;
    this.headers = new RawHeaders(msg);
  }

  /** Begins the lease, or gives it another period. */
  hold(leasedAtMs: number, leaseMs: number): void {
    if (this.#slot >= 0) this.table.release(this.#slot);
    this.#leasedAtMs = leasedAtMs;
    this.#slot = this.table.acquire(this.#reply, leaseMs, leasedAtMs);
    if (this.execution) this.begins();
  }

  /** Its workflow is called now: who watches this process from outside its event loop can tell. */
  begins(): void {
    if (this.#slot >= 0) this.table.executes(this.#slot);
  }

  /** The server has delivered the command again, to the process that holds it: from now on that delivery is answered. */
  redelivered(again: CommandMessage, leasedAtMs: number, leaseMs: number): void {
    // Deliveries in between went to other workers: there may be a history.
    if (again.deliveries !== this.lastDelivery + 1) this.deliveries = again.deliveries;
    this.lastDelivery = again.deliveries;
    this.msg = again.msg;
    this.#reply = again.#reply;
    this.hold(leasedAtMs, leaseMs);
  }

  /** When the lease began or was last renewed, by this thread or the lease thread. */
  get leasedAtMs(): number {
    return this.#slot < 0 ? this.#leasedAtMs : this.table.leasedAtMs(this.#slot);
  }

  get subject(): string {
    return this.msg.subject;
  }

  get data(): Uint8Array {
    return this.msg.data;
  }

  get settled(): boolean {
    return this.#settled;
  }

  ack(): void {
    if (this.#end()) this.answers.ack(this.#reply);
  }

  /** Gives the command back, to be delivered again after `delayMs`. */
  nak(delayMs: number): void {
    if (this.#end()) this.answers.nak(this.#reply, delayMs);
  }

  /** Keeps the lease for another period. */
  extend(nowMs: number): void {
    if (this.#settled) return;
    this.#leasedAtMs = nowMs;
    if (this.#slot >= 0) this.table.renewed(this.#slot, nowMs);
    this.answers.send(this.#reply, IN_PROGRESS);
  }

  /** Forgets the command without a word to the server: another worker may have it. */
  drop(): void {
    this.#end();
  }

  #end(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#slot >= 0) this.table.release(this.#slot);
    return true;
  }
}
