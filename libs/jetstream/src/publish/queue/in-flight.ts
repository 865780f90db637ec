import { nuid } from 'nats';
import type { NatsConnectionLike, NatsMessage, NatsSubscription } from '../../connection/nats-connection.js';
import { inBatch } from '../batch/batch.js';
import { inboxOf } from '../../connection/connection.js';
import { FrameWriter } from '../frames.js';
import { PendingBatch, type EncodedMessage, type Pending } from './pending.js';
import { TokenRing } from './token-ring.js';

export interface AnswerListener {
  answered(token: number, pending: Pending, data: Uint8Array): void;
  /** The server's answer to the first message of a batch: empty, or why it does not begin one. */
  opened(token: number, pending: Pending, data: Uint8Array): void;
  /** No answer arrives: this user may not subscribe to the inbox. */
  inboxDenied(error: Error): void;
}

/** Stands before the token in the reply subject of a batch's first message: tells that answer from the acknowledgement of the batch. */
const OPENING = 'o';

/** The messages that wait for their answers, and the inbox in which these arrive. */
export class InFlight {
  readonly #nc: NatsConnectionLike;
  readonly #listener: AnswerListener;
  readonly #inbox: string;
  readonly #subscription: NatsSubscription;
  readonly #frames: FrameWriter;
  /** By token, in the order of writing. A token is used once, so a late answer meets no other message. */
  readonly #pending = new TokenRing<Pending>();
  #messages = 0;
  #groups = 0;

  constructor(nc: NatsConnectionLike, listener: AnswerListener) {
    this.#nc = nc;
    this.#listener = listener;
    this.#frames = new FrameWriter(nc);
    this.#inbox = `${inboxOf(nc)}.`;
    this.#subscription = nc.subscribe(`${this.#inbox}*`, { callback: (error, msg) => this.#heard(error, msg) });
  }

  /** Those of batches counted one by one. */
  get messages(): number {
    return this.#messages;
  }

  /** Groups, and single messages in place of one. */
  get groups(): number {
    return this.#groups;
  }

  /** In the order of writing; may be changed while it is read. What is added then is not visited. */
  entries(): Iterable<[number, Pending]> {
    return this.#pending;
  }

  /** @returns the token under which the answer will come */
  add(pending: Pending): number {
    const token = this.#pending.add(pending);
    this.#messages += pending.size;
    if (pending.group) this.#groups++;
    return token;
  }

  remove(token: number, pending: Pending): void {
    if (!this.#pending.delete(token)) return;
    this.#messages -= pending.size;
    if (pending.group) this.#groups--;
  }

  /** Writes a message, or writes it again. @throws what the client library says of the connection, subject or size */
  write(token: number, pending: Pending): void {
    const reply = this.#inbox + token;
    if (pending instanceof PendingBatch) this.#writeBatch(pending.messages, this.#inbox + OPENING + token, reply);
    else this.#frames.write(pending.subject, reply, pending.block, pending.data);
  }

  close(): void {
    if (!this.#nc.isClosed()) this.#subscription.unsubscribe();
  }

  /** The last message of a batch asks for the acknowledgement of all; the first one is told why there is none to be. */
  #writeBatch(messages: readonly EncodedMessage[], opening: string, reply: string): void {
    const id = nuid.next();
    messages.forEach(({ subject, data, block }, i) => {
      const last = i === messages.length - 1;
      this.#frames.write(subject, last ? reply : i === 0 ? opening : '', inBatch(block, id, i + 1, last), data);
    });
  }

  #heard(error: Error | null, msg: NatsMessage): void {
    if (error) {
      this.#listener.inboxDenied(error);
      return;
    }
    const to = msg.subject;
    const opens = to.startsWith(OPENING, this.#inbox.length);
    let token = 0;
    for (let i = this.#inbox.length + (opens ? OPENING.length : 0); i < to.length; i++) token = token * 10 + (to.charCodeAt(i) - 0x30);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    if (opens) this.#listener.opened(token, pending, msg.data);
    else this.#listener.answered(token, pending, msg.data);
  }
}
