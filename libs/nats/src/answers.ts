import type { NatsConnection } from 'nats';

/** The client library's writer inside. */
interface Writer {
  readonly protocol?: { sendCommand?(command: string): void };
}

const encoder = new TextEncoder();
const ACK = encoder.encode('+ACK');
/** Bytes of acknowledgements that are written without waiting for more. */
const MAX_BYTES = 32 * 1024;

/**
 * Answers deliveries on one connection. Acknowledgements of one turn of the event loop are written as one text: a publish
 * of the client library encodes the protocol line of each and copies it, its four bytes and a line end one by one. A
 * library that has its writer elsewhere is asked to publish.
 */
export class Answers {
  #acks = '';
  readonly #direct: boolean;
  readonly #flush = (): void => this.flush();

  constructor(private readonly nc: NatsConnection) {
    this.#direct = typeof (nc as Writer).protocol?.sendCommand === 'function';
  }

  ack(reply: string): void {
    if (!this.#direct) {
      this.send(reply, ACK);
      return;
    }
    // After all that waits in this turn already, so that what it acknowledges goes along.
    if (this.#acks === '') queueMicrotask(this.#flush);
    this.#acks += `PUB ${reply} 4\r\n+ACK\r\n`;
    if (this.#acks.length >= MAX_BYTES) this.flush();
  }

  /** Any other word. On a closed connection the lease runs out, and the command is delivered elsewhere. */
  send(reply: string, word: string | Uint8Array): void {
    if (!this.nc.isClosed()) this.nc.publish(reply, word);
  }

  /** Writes what was acknowledged, to the socket or, while the connection is down, to what is written when it is back. */
  flush(): void {
    const acks = this.#acks;
    if (acks === '') return;
    this.#acks = '';
    if (!this.nc.isClosed()) (this.nc as Writer).protocol?.sendCommand?.(acks);
  }
}
