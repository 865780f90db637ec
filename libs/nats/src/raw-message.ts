import { headerLinesOf, type HeaderLine } from '@loopstack/shared';
import type { Msg } from 'nats';

/** The client library's message inside: it keeps the bytes as they came. */
interface MsgBytes {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown; readonly reply?: unknown };
}

/**
 * The reply subject, from the bytes of the message: the client's own getter costs three times as much. It may hold the name of an
 * application's stream, which need not be ASCII. A client library that keeps its bytes elsewhere is asked by its getter.
 */
export function replyOf(msg: Msg): string {
  const reply = (msg as MsgBytes)._msg?.reply;
  return Buffer.isBuffer(reply) ? reply.toString() : (msg.reply ?? '');
}

/** Whether a message of a pull is a delivery, which is answered, or a status, which is not. */
export function isDelivery(msg: Msg): boolean {
  const raw = (msg as MsgBytes)._msg;
  const reply = raw === undefined ? msg.reply : raw.reply;
  return reply !== undefined && reply !== null && (reply as { readonly length: number }).length > 0;
}

/** The header block of a message, or undefined where the client library keeps it elsewhere. */
function blockOf(msg: Msg): Buffer | undefined {
  const { _rdata: bytes, _msg } = msg as MsgBytes;
  const length = _msg?.hdr;
  if (typeof length !== 'number' || !(bytes instanceof Uint8Array)) return undefined;
  // What came in several pieces is no Buffer.
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.max(0, length));
}

const NAME = /^[!-9;-~]*$/;
const LINE_END = /[\r\n]/;

/** Names and values in turn, the first value of each name; undefined for what the client library does not take for headers. */
function parse(block: string): readonly string[] | undefined {
  const pairs: string[] = [];
  for (let at = block.indexOf('\r\n') + 2; at > 1 && at < block.length;) {
    const next = block.indexOf('\r\n', at);
    const end = next < 0 ? block.length : next;
    const colon = block.indexOf(':', at);
    if (colon >= 0 && colon < end) {
      const name = block.slice(at, colon);
      const value = block.slice(colon + 1, end);
      if (!NAME.test(name) || LINE_END.test(value)) return undefined;
      if (!has(pairs, name)) pairs.push(name, value.trim());
    }
    at = end + 2;
  }
  return pairs;
}

function has(pairs: readonly string[], name: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return true;
  return false;
}

const NONE: readonly string[] = [];

/**
 * First values of the headers of a message; an empty one counts as absent. Read from the header block itself, when first
 * asked: the client's header class takes longer for the two lines of a command than JSON.parse for its body.
 */
export class RawHeaders {
  #pairs: readonly string[] | undefined;
  #malformed = false;

  constructor(private readonly msg: Msg) {}

  /** They are no headers, so there are none. */
  get malformed(): boolean {
    void this.pairs();
    return this.#malformed;
  }

  get(name: string): string | undefined {
    const pairs = this.pairs();
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1] || undefined;
    return undefined;
  }

  /** What a signature covers. The library's own getter would trim. */
  lines(): readonly HeaderLine[] | undefined {
    const block = blockOf(this.msg);
    return block && headerLinesOf(block);
  }

  *entries(): Iterable<readonly [string, string]> {
    const pairs = this.pairs();
    for (let i = 0; i < pairs.length; i += 2) yield [pairs[i] as string, pairs[i + 1] as string];
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.entries()[Symbol.iterator]();
  }

  private pairs(): readonly string[] {
    if (this.#pairs) return this.#pairs;
    const pairs = this.read();
    this.#malformed = pairs === undefined;
    return (this.#pairs = pairs ?? NONE);
  }

  private read(): readonly string[] | undefined {
    const block = blockOf(this.msg);
    if (block !== undefined) return block.length === 0 ? NONE : parse(block.toString());
    const pairs: string[] = [];
    try {
      for (const [name, values] of this.msg.headers ?? []) if (values[0] !== undefined) pairs.push(name, values[0]);
    } catch {
      return undefined;
    }
    return pairs;
  }
}
