import { type StoredEvent } from '@loopstack/core';
import { deliveryFacts, RawHeaders, replyOf, type NatsMessage, type AckWriter } from '@loopstack/jetstream';

const IN_PROGRESS = '+WPI';

/** An event that this process holds: delivered, and leased until it is settled. */
export class EventMessage implements StoredEvent {
  readonly headers: RawHeaders;
  readonly sequence: number;
  readonly timeMs: number;
  /** Events that wait behind this one. */
  readonly pending: number;
  readonly arrivedAtMs: number;
  deliveries: number;
  leasedAtMs: number;
  /** What becomes of it is decided, and being carried out. */
  settling = false;
  /** Where the delivery is answered. */
  #reply: string;
  #settled = false;

  constructor(
    private readonly answers: AckWriter,
    private msg: NatsMessage,
    readonly stream: string,
    nowMs: number,
  ) {
    this.#reply = replyOf(msg);
    const { deliveries, sequence, timeMs, pending } = deliveryFacts(this.#reply);
    this.deliveries = deliveries;
    this.sequence = sequence;
    this.timeMs = timeMs;
    this.pending = pending;
    this.headers = new RawHeaders(msg);
    this.arrivedAtMs = nowMs;
    this.leasedAtMs = nowMs;
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

  /** It was delivered again to the process that holds it: from now on that delivery is answered. */
  redelivered(again: EventMessage): void {
    this.msg = again.msg;
    this.#reply = again.#reply;
    this.deliveries = again.deliveries;
    this.leasedAtMs = again.leasedAtMs;
  }

  ack(): void {
    if (this.#end()) this.answers.ack(this.#reply);
  }

  /** Gives the event back, to be delivered again after `delayMs`. */
  nak(delayMs: number): void {
    if (this.#end()) this.answers.nak(this.#reply, delayMs);
  }

  extend(nowMs: number): void {
    if (this.#settled) return;
    this.leasedAtMs = nowMs;
    this.answers.send(this.#reply, IN_PROGRESS);
  }

  /** Forgets it without a word to the server: another process may have it. */
  drop(): void {
    this.#end();
  }

  #end(): boolean {
    if (this.#settled) return false;
    return (this.#settled = true);
  }
}
