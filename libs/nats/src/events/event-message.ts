import type { Msg, NatsConnection } from 'nats';
import { MessageHeaders } from '../message-headers.js';

/** An event as it is handled: delivered, or read back for a redrive. */
export interface StoredEvent {
  readonly stream: string;
  readonly subject: string;
  readonly sequence: number;
  /** Milliseconds since the epoch; when it was stored. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  readonly headers: MessageHeaders;
  /** From 1. */
  readonly deliveries: number;
}

const encoder = new TextEncoder();
const ACK = encoder.encode('+ACK');
const IN_PROGRESS = encoder.encode('+WPI');
const NS_DIGITS = 6;

/** Delivery facts in a reply subject (NATS ADR-15, see CommandMessage). */
export function deliveryOf(reply: string): { deliveries: number; sequence: number; timeMs: number; pending: number } {
  const tokens = reply.split('.');
  const at = tokens.length > 9 ? 6 : 4;
  return {
    deliveries: Number(tokens[at]),
    sequence: Number(tokens[at + 1]),
    timeMs: Number((tokens[at + 3] ?? '').slice(0, -NS_DIGITS)),
    pending: Number(tokens[at + 4]),
  };
}

/** An event that this process holds: delivered, and leased until it is settled. */
export class EventMessage implements StoredEvent {
  readonly headers: MessageHeaders;
  readonly sequence: number;
  readonly timeMs: number;
  /** Events that wait behind this one. */
  readonly pending: number;
  readonly arrivedAtMs: number;
  deliveries: number;
  leasedAtMs: number;
  /** What becomes of it is decided, and being carried out. */
  settling = false;
  #settled = false;

  constructor(
    private readonly nc: NatsConnection,
    private msg: Msg,
    readonly stream: string,
    nowMs: number,
  ) {
    const { deliveries, sequence, timeMs, pending } = deliveryOf(msg.reply ?? '');
    this.deliveries = deliveries;
    this.sequence = sequence;
    this.timeMs = timeMs;
    this.pending = pending;
    this.headers = MessageHeaders.of(msg);
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
    this.deliveries = again.deliveries;
    this.leasedAtMs = again.leasedAtMs;
  }

  ack(): void {
    this.#settle(ACK);
  }

  nak(delayMs: number): void {
    this.#settle(encoder.encode(delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs * 1e6)}}` : '-NAK'));
  }

  extend(nowMs: number): void {
    if (this.#settled) return;
    this.leasedAtMs = nowMs;
    this.#reply(IN_PROGRESS);
  }

  /** Forgets it without a word to the server: another process may have it. */
  drop(): void {
    this.#settled = true;
  }

  #settle(word: Uint8Array): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#reply(word);
  }

  #reply(word: Uint8Array): void {
    if (!this.nc.isClosed()) this.nc.publish(this.msg.reply as string, word);
  }
}
