import { FrameWriter } from '../publish/frames.js';
import type { NatsConnectionLike } from '../connection/nats-connection.js';

const encoder = new TextEncoder();
const ACK = encoder.encode('+ACK');

/** Answers deliveries on one connection; the answers of one turn of the event loop are written as one piece. */
export class AckWriter {
  readonly #nc: NatsConnectionLike;
  readonly #frames: FrameWriter;

  constructor(nc: NatsConnectionLike) {
    this.#nc = nc;
    this.#frames = new FrameWriter(nc);
  }

  ack(reply: string): void {
    this.#send(reply, ACK);
  }

  /** Asks for another delivery after `delayMs`. */
  nak(reply: string, delayMs: number): void {
    this.send(reply, delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs * 1e6)}}` : '-NAK');
  }

  /** Any other word. */
  send(reply: string, word: string): void {
    this.#send(reply, encoder.encode(word));
  }

  /** Writes what was answered, to the socket or, while the connection is down, to what is written when it is back. */
  flush(): void {
    this.#frames.flush();
  }

  /** On a closed connection the lease runs out, and the command is delivered elsewhere. */
  #send(reply: string, word: Uint8Array): void {
    if (!this.#nc.isClosed()) this.#frames.write(reply, '', undefined, word);
  }
}
