import { HEADER, headerLines, type Headers } from '@loopstack/shared/contract';
import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { headerBlock } from './header-block.js';
import { IDEMPOTENT_ALONE, Pending, PendingBatch, type EncodedMessage, type Handling, type Receiver } from './queue/pending.js';
import type { PubAck } from './pub-ack.js';
import { resolvePublisherOptions, type PublisherOptions } from './publisher-options.js';
import { Transmitter } from './transmitter.js';

const PUB_ACK: Receiver<PubAck> = { acknowledged: (stream, sequence, duplicate) => ({ stream, sequence, duplicate }) };

/**
 * Publishes to JetStream with an acknowledgement inbox of its own: one subscription for all answers, one timer for all
 * timeouts, one object and one promise a message.
 *
 * Order: messages are written in the order of the calls, and JetStream stores what one connection writes in that
 * order. After a reconnect, and when an answer does not come, those that have a `Nats-Msg-Id` are written again, in
 * order, but others may have been stored in between. The same holds after a batch that the server refused.
 *
 * A message is on disk only when its promise has resolved. PUBLISH_TIMEOUT says nothing about whether it was stored.
 */
export class Publisher {
  readonly #timeoutMs: number;
  readonly #transmitter: Transmitter;
  #closing: Promise<void> | undefined;

  constructor(nc: NatsConnectionLike, options: PublisherOptions = {}) {
    const resolved = resolvePublisherOptions(options);
    this.#timeoutMs = resolved.timeoutMs;
    this.#transmitter = new Transmitter(nc, resolved);
  }

  /** Messages written and not yet acknowledged, and those that wait to be written. */
  get inFlight(): number {
    return this.#transmitter.unsettled;
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
    const handling = { resendable: headers?.[HEADER.MSG_ID] !== undefined, groupable: options?.groupable ?? false };
    return this.sendAs(handling, { subject, data, block }, options?.timeoutMs ?? this.#timeoutMs, PUB_ACK);
  }

  /**
   * As `publish`, with encoded headers, for a message with a `Nats-Msg-Id` that may share an atomic batch with others.
   * @param receiver makes the value that the caller gets
   */
  send<T>(subject: string, data: Uint8Array, block: Uint8Array | undefined, timeoutMs: number, receiver: Receiver<T>): Promise<T> {
    const refusal = this.#transmitter.refusal(subject, data.length + (block === undefined ? 0 : block.length));
    if (refusal) return Promise.reject(refusal);
    const pending = new Pending(subject, data, block, timeoutMs, receiver);
    const promise = pending.promise<T>();
    this.#transmitter.accept(pending);
    return promise;
  }

  /** As `send`, for another kind of message. */
  sendAs<T>(handling: Handling, message: EncodedMessage, timeoutMs: number, receiver: Receiver<T>): Promise<T> {
    const { subject, data, block } = message;
    const pending = new Pending(subject, data, block, timeoutMs, receiver);
    pending.handling = handling;
    return this.#accept<T>(pending, [message]);
  }

  /** `send`, for an acknowledgement. */
  sendOne({ subject, data, block }: EncodedMessage, timeoutMs: number): Promise<PubAck> {
    return this.send(subject, data, block, timeoutMs, PUB_ACK);
  }

  /**
   * Publishes 2 to 1,000 messages of one stream that are stored together or not at all.
   * @returns the acknowledgement of the last one; the others have the sequences before it
   * @throws LoopstackError as `publish`; `details.errCode` 10201 after a reconnect says that they were stored already
   */
  sendBatch(messages: readonly EncodedMessage[], timeoutMs: number): Promise<PubAck> {
    return this.#accept<PubAck>(new PendingBatch(messages, timeoutMs, IDEMPOTENT_ALONE, PUB_ACK), messages);
  }

  /** Refuses new messages, waits for those in flight (each ends with its timeout at the latest), and frees the inbox. */
  close(): Promise<void> {
    return (this.#closing ??= this.#transmitter.close());
  }

  #accept<T>(pending: Pending, messages: readonly EncodedMessage[]): Promise<T> {
    for (const { subject, data, block } of messages) {
      const refusal = this.#transmitter.refusal(subject, data.length + (block === undefined ? 0 : block.length));
      if (refusal) return Promise.reject(refusal);
    }
    const promise = pending.promise<T>();
    this.#transmitter.accept(pending);
    return promise;
  }
}
