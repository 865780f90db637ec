import { RawHeaders, deliveryFacts, replyOf, type AckWriter, type NatsMessage } from '@loopstack/jetstream';

const IN_PROGRESS = '+WPI';

/** A message that this process holds: delivered, and leased until it is settled. */
export abstract class LeasedMessage {
  readonly headers: RawHeaders;
  readonly sequence: number;
  /** Milliseconds since the epoch; when the message was stored. */
  readonly timeMs: number;
  /** Messages that wait behind this one in the stream. */
  readonly pending: number;
  /** Grows by one with each delivery by the consumer, to whichever process. */
  readonly consumerSequence: number;
  readonly #acks: AckWriter;
  #msg: NatsMessage;
  /** Where the delivery is answered. */
  #reply: string;
  #lastDelivery: number;
  #settled = false;

  constructor(acks: AckWriter, msg: NatsMessage) {
    this.#acks = acks;
    this.#msg = msg;
    this.#reply = replyOf(msg);
    const facts = deliveryFacts(this.#reply);
    this.sequence = facts.sequence;
    this.timeMs = facts.timeMs;
    this.pending = facts.pending;
    this.consumerSequence = facts.consumerSequence;
    this.#lastDelivery = facts.deliveries;
    this.headers = new RawHeaders(msg);
  }

  /** When the lease began or was last renewed, on the monotonic clock. */
  abstract get leasedAtMs(): number;

  /** The server was asked for another period. */
  protected abstract renewed(nowMs: number): void;

  /** It is settled: there is no lease to keep. */
  protected released(): void {}

  get subject(): string {
    return this.#msg.subject;
  }

  get data(): Uint8Array {
    return this.#msg.data;
  }

  protected get reply(): string {
    return this.#reply;
  }

  /** The number of the last delivery that this process holds, from 1. */
  get lastDelivery(): number {
    return this.#lastDelivery;
  }

  get settled(): boolean {
    return this.#settled;
  }

  ack(): void {
    if (this.#end()) this.#acks.ack(this.#reply);
  }

  /** Gives the message back, to be delivered again after `delayMs`. */
  nak(delayMs: number): void {
    if (this.#end()) this.#acks.nak(this.#reply, delayMs);
  }

  /** Keeps the lease for another period. */
  extend(nowMs: number): void {
    if (this.#settled) return;
    this.renewed(nowMs);
    this.#acks.send(this.#reply, IN_PROGRESS);
  }

  /** Forgets the message without a word to the server: another process may have it. */
  drop(): void {
    this.#end();
  }

  /** The server has delivered it again, to the process that holds it: from now on that delivery is answered. */
  protected answerInstead(redelivery: LeasedMessage): void {
    this.#msg = redelivery.#msg;
    this.#reply = redelivery.#reply;
    this.#lastDelivery = redelivery.#lastDelivery;
  }

  #end(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.released();
    return true;
  }
}
