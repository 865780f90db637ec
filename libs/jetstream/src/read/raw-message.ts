import { headerLinesOf, type HeaderLine } from '@loopstack/shared/contract';
import type { NatsMessage } from '../connection/nats-connection.js';

/** The client library's message inside: it keeps the bytes as they came. */
interface MsgBytes {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown; readonly reply?: unknown };
}

/**
 * The reply subject, from the bytes of the message: the client's own getter costs three times as much. It may hold the name of an
 * application's stream, which need not be ASCII. A client library that keeps its bytes elsewhere is asked by its getter.
 */
export function replyOf(msg: NatsMessage): string {
  const reply = (msg as MsgBytes)._msg?.reply;
  return Buffer.isBuffer(reply) ? reply.toString() : (msg.reply ?? '');
}

/** Whether a message of a pull is a delivery, which is answered, or a status, which is not. */
export function isDelivery(msg: NatsMessage): boolean {
  const raw = (msg as MsgBytes)._msg;
  const reply = raw === undefined ? msg.reply : raw.reply;
  return reply !== undefined && reply !== null && (reply as { readonly length: number }).length > 0;
}

/** The header block of a message, or undefined where the client library keeps it elsewhere. */
function blockOf(msg: NatsMessage): Buffer | undefined {
  const { _rdata: bytes, _msg } = msg as MsgBytes;
  const length = _msg?.hdr;
  if (typeof length !== 'number' || !(bytes instanceof Uint8Array)) return undefined;
  // What came in several pieces is no Buffer.
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.max(0, length));
}

/** Clients write one blank before a value (NATS ADR-4); every further one is the value's. */
const unspaced = (value: string): string => (value.startsWith(' ') ? value.slice(1) : value);

const NAME = /^[!-9;-~]*$/;
const LINE_END = /[\r\n]/;

/** Names from which on they are found by a table: to compare each with all before it is quadratic, and 64 KiB hold thousands. */
const TABLE_FROM = 16;

/** Names and values in turn, and where each name is, once there are many. */
interface Pairs {
  readonly list: string[];
  table: Map<string, number> | undefined;
}

/** Place of a name in the list, or -1. */
function placeOf({ list, table }: Pairs, name: string): number {
  if (table !== undefined) return table.get(name) ?? -1;
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return i;
  return -1;
}

/** The first value of a name stands. */
function add(pairs: Pairs, name: string, value: string): void {
  const { list } = pairs;
  if (placeOf(pairs, name) >= 0) return;
  const place = list.push(name, value) - 2;
  if (pairs.table !== undefined) pairs.table.set(name, place);
  else if (list.length > 2 * TABLE_FROM) {
    pairs.table = new Map();
    for (let i = 0; i < list.length; i += 2) pairs.table.set(list[i] as string, i);
  }
}

/** Undefined for what the client library does not take for headers. From colon to colon: lines without one cost nothing. */
function parse(block: string): Pairs | undefined {
  const pairs: Pairs = { list: [], table: undefined };
  const first = block.indexOf('\r\n');
  if (first < 0) return pairs;
  for (let at = first + 2; ;) {
    const colon = block.indexOf(':', at);
    if (colon < 0) return pairs;
    const next = block.indexOf('\r\n', colon);
    const end = next < 0 ? block.length : next;
    const name = block.slice(block.lastIndexOf('\r\n', colon) + 2, colon);
    const value = block.slice(colon + 1, end);
    if (!NAME.test(name) || LINE_END.test(value)) return undefined;
    add(pairs, name, unspaced(value));
    at = end;
  }
}

const NONE: Pairs = { list: [], table: undefined };

/**
 * First values of the headers of a message; an empty one counts as absent. Read from the header block itself, when first
 * asked: the client's header class takes longer for the two lines of a command than JSON.parse for its body.
 */
export class RawHeaders {
  readonly #msg: NatsMessage;
  #pairs: Pairs | undefined;
  #malformed = false;

  constructor(msg: NatsMessage) {
    this.#msg = msg;
  }

  /** They are no headers, so there are none. */
  get malformed(): boolean {
    void this.#all();
    return this.#malformed;
  }

  /** Names. */
  get count(): number {
    return this.#all().list.length / 2;
  }

  get(name: string): string | undefined {
    const pairs = this.#all();
    const place = placeOf(pairs, name);
    return place < 0 ? undefined : pairs.list[place + 1] || undefined;
  }

  /** What a signature covers. The library's own getter would trim. */
  lines(): readonly HeaderLine[] | undefined {
    const block = blockOf(this.#msg);
    return block && headerLinesOf(block);
  }

  *entries(): Iterable<readonly [string, string]> {
    const { list } = this.#all();
    for (let i = 0; i < list.length; i += 2) yield [list[i] as string, list[i + 1] as string];
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.entries()[Symbol.iterator]();
  }

  #all(): Pairs {
    if (this.#pairs) return this.#pairs;
    const pairs = this.#read();
    this.#malformed = pairs === undefined;
    return (this.#pairs = pairs ?? NONE);
  }

  #read(): Pairs | undefined {
    const block = blockOf(this.#msg);
    if (block !== undefined) return block.length === 0 ? NONE : parse(block.toString());
    const pairs: Pairs = { list: [], table: undefined };
    try {
      for (const [name, values] of this.#msg.headers ?? []) if (values[0] !== undefined) add(pairs, name, values[0]);
    } catch {
      return undefined;
    }
    return pairs;
  }
}

/** Headers as a stream's leader tells them (NATS ADR-4): lines that client libraries do not take for headers are left out. */
export class StoredHeaders extends RawHeaders {
  readonly #block: Uint8Array;

  constructor(block: Uint8Array) {
    const bytes = readable(block);
    super({ _rdata: bytes, _msg: { hdr: bytes.length } } as unknown as NatsMessage);
    this.#block = block;
  }

  override lines(): readonly HeaderLine[] | undefined {
    return headerLinesOf(this.#block);
  }
}

const READABLE = /^[!-9;-~]+:[^\r\n]*$/;

function readable(block: Uint8Array): Buffer {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString();
  const [first = '', ...lines] = text.split('\r\n');
  return Buffer.from([first, ...lines.filter((line) => READABLE.test(line)), '', ''].join('\r\n'));
}
