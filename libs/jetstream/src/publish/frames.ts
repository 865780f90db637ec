import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { EncodedHeaders } from './header-block.js';

/** The client library's writer inside. */
interface Inside {
  readonly protocol?: { sendCommand?(command: Uint8Array): void };
}

const CHUNK = 64 * 1024;
/** What is longer than this is not copied into a chunk. */
const MAX_COPIED = 8 * 1024;
const MAX_UNFLUSHED = 32 * 1024;
const LINE_END = 2;
const NONE = new Uint8Array(0);
/** Characters of subject and reply that are surely within a protocol line (`max_control_line` is 4,096 bytes by default). */
const MAX_LINE = 1024;

/**
 * Writes messages to one connection; those of one turn of the event loop go to the socket as one piece. A publish of the
 * client library encodes the protocol line of each, and keeps four pieces of it that are copied together later. A library
 * that has its writer elsewhere is asked to publish.
 *
 * What is written here goes out after what is published by the library itself in the same turn.
 */
export class FrameWriter {
  readonly #nc: NatsConnectionLike;
  readonly #direct: boolean;
  readonly #headers = new EncodedHeaders();
  // The client library reads them before `publish` returns, so one of each serves all messages.
  readonly #withHeaders = { reply: '', headers: this.#headers.asMsgHdrs() };
  readonly #withoutHeaders = { reply: '' };
  #chunk = Buffer.allocUnsafeSlow(0);
  /** Where what is not flushed begins and ends. */
  #start = 0;
  #end = 0;

  constructor(nc: NatsConnectionLike) {
    this.#nc = nc;
    this.#direct = typeof (nc as Inside).protocol?.sendCommand === 'function';
  }

  /**
   * @param reply empty: none
   * @param block encoded headers
   * @throws what the client library says of the connection, subject or size
   */
  write(subject: string, reply: string, block: Uint8Array | undefined, data: Uint8Array): void {
    const headerBytes = block === undefined ? 0 : block.length;
    const bytes = headerBytes + data.length;
    const { info } = this.#nc;
    if (
      !this.#direct ||
      bytes > MAX_COPIED ||
      info === undefined ||
      bytes > info.max_payload ||
      !info.headers ||
      subject.length + reply.length > MAX_LINE ||
      this.#nc.isDraining()
    ) {
      this.#publish(subject, reply, block, data);
      return;
    }
    const sizes = block === undefined ? `${bytes}\r\n` : `${headerBytes} ${bytes}\r\n`;
    const line = `${block === undefined ? 'PUB' : 'HPUB'} ${subject} ${reply === '' ? '' : `${reply} `}${sizes}`;
    if (this.#chunk.length - this.#end < line.length * 3 + bytes + LINE_END) this.#renew();
    const chunk = this.#chunk;
    if (this.#end === this.#start) queueMicrotask(this.flush);
    let at = this.#end + chunk.write(line, this.#end);
    if (block !== undefined) {
      chunk.set(block, at);
      at += headerBytes;
    }
    chunk.set(data, at);
    at += data.length;
    chunk[at++] = 0x0d;
    chunk[at++] = 0x0a;
    this.#end = at;
    if (at - this.#start >= MAX_UNFLUSHED) this.flush();
  }

  /** Hands over what was written, to be sent, or to be dropped where the connection was lost meanwhile. */
  readonly flush = (): void => {
    if (this.#start === this.#end) return;
    const frames = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    if (!this.#nc.isClosed()) (this.#nc as Inside).protocol?.sendCommand?.(frames);
  };

  #renew(): void {
    this.flush();
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK);
    this.#start = this.#end = 0;
  }

  #publish(subject: string, reply: string, block: Uint8Array | undefined, data: Uint8Array): void {
    this.flush();
    if (block === undefined) {
      this.#withoutHeaders.reply = reply;
      this.#nc.publish(subject, data, this.#withoutHeaders);
    } else {
      this.#headers.block = block;
      this.#withHeaders.reply = reply;
      this.#nc.publish(subject, data, this.#withHeaders);
      this.#headers.block = NONE;
    }
  }
}
