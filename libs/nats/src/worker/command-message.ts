import type { Delivery, Execution } from '@loopstack/core';
import type { AckWriter, NatsMessage } from '@loopstack/jetstream';
import type { LeaseTable } from '../leases/lease-table.js';
import { LeasedMessage } from '../leases/leased-message.js';

/** Holds commands until their work is over, which may be later than they are settled. */
export interface CommandHolder {
  release(message: CommandMessage): void;
}

/** A command that this worker holds: delivered, and leased until it is settled. */
export class CommandMessage extends LeasedMessage implements Delivery {
  /** It was delivered before it came to this worker. */
  readonly redelivered: boolean;
  readonly lane: CommandHolder;
  readonly #table: LeaseTable;
  /** Place in the table of leases, or -1. */
  #slot = -1;
  #leasedAtMs = 0;
  #deliveries: number;
  #maybeRedelivered = false;
  #execution: Execution | undefined;
  #historySequence = 0;
  #left = false;

  constructor(acks: AckWriter, msg: NatsMessage, table: LeaseTable, lane: CommandHolder) {
    super(acks, msg);
    this.#deliveries = this.lastDelivery;
    this.redelivered = this.lastDelivery > 1;
    this.#table = table;
    this.lane = lane;
  }

  /** The delivery with which this worker began. */
  get deliveries(): number {
    return this.#deliveries;
  }

  /** The server may have forgotten an earlier delivery, so the count says nothing. */
  get maybeRedelivered(): boolean {
    return this.#maybeRedelivered;
  }

  /** What executes it, or has. */
  get execution(): Execution | undefined {
    return this.#execution;
  }

  /** Sequence of the last message on the run's event subject that this worker knows; the fence. */
  get historySequence(): number {
    return this.#historySequence;
  }

  /** When the lease began or was last renewed, by this thread or the lease thread. */
  get leasedAtMs(): number {
    return this.#slot < 0 ? this.#leasedAtMs : this.#table.leasedAtMs(this.#slot);
  }

  /** Its lease begins. */
  hold(leasedAtMs: number, leaseMs: number, maybeRedelivered: boolean): void {
    this.#maybeRedelivered = maybeRedelivered;
    this.lease(leasedAtMs, leaseMs);
  }

  /** Gives the lease another period. */
  lease(leasedAtMs: number, leaseMs: number): void {
    if (this.#slot >= 0) this.#table.release(this.#slot);
    this.#leasedAtMs = leasedAtMs;
    this.#slot = this.#table.acquire(this.reply, leaseMs, leasedAtMs);
    if (this.#execution) this.begin();
  }

  /** Its workflow is called now: what watches this process from outside its event loop can tell. */
  begin(): void {
    if (this.#slot >= 0) this.#table.executes(this.#slot);
  }

  executes(execution: Execution): void {
    this.#execution = execution;
  }

  /** The history of its run was read or appended to: it ends at this sequence. */
  sawHistory(sequence: number): void {
    this.#historySequence = sequence;
  }

  /** The server has delivered the command again, to the process that holds it. */
  takeOver(redelivery: CommandMessage, leasedAtMs: number, leaseMs: number): void {
    // Deliveries in between went to other workers: there may be a history.
    if (redelivery.lastDelivery !== this.lastDelivery + 1) this.#deliveries = redelivery.lastDelivery;
    this.answerInstead(redelivery);
    this.lease(leasedAtMs, leaseMs);
  }

  /** It leaves its lane. @returns false where it has left before */
  leave(): boolean {
    if (this.#left) return false;
    return (this.#left = true);
  }

  protected override renewed(nowMs: number): void {
    this.#leasedAtMs = nowMs;
    if (this.#slot >= 0) this.#table.renewed(this.#slot, nowMs);
  }

  protected override released(): void {
    if (this.#slot >= 0) this.#table.release(this.#slot);
  }
}
