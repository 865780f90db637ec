import type { StoredEvent } from '@loopstack/core';
import type { AckWriter, NatsMessage } from '@loopstack/jetstream';
import { LeasedMessage } from '../leases/leased-message.js';

/** An event that this process holds: delivered, and leased until it is settled. */
export class EventMessage extends LeasedMessage implements StoredEvent {
  readonly stream: string;
  readonly arrivedAtMs: number;
  #leasedAtMs: number;
  #settling = false;

  constructor(acks: AckWriter, msg: NatsMessage, stream: string, nowMs: number) {
    super(acks, msg);
    this.stream = stream;
    this.arrivedAtMs = nowMs;
    this.#leasedAtMs = nowMs;
  }

  get deliveries(): number {
    return this.lastDelivery;
  }

  get leasedAtMs(): number {
    return this.#leasedAtMs;
  }

  /** Its settlement is decided, and being carried out. */
  get settling(): boolean {
    return this.#settling;
  }

  settles(): void {
    this.#settling = true;
  }

  /** The server has delivered it again, to the process that holds it. */
  takeOver(redelivery: EventMessage): void {
    this.answerInstead(redelivery);
    this.#leasedAtMs = redelivery.leasedAtMs;
  }

  protected override renewed(nowMs: number): void {
    this.#leasedAtMs = nowMs;
  }
}
