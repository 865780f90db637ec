import { printable } from '@loopstack/shared/contract';
import { Match, headers, type MsgHdrs, type NatsConnection } from 'nats';

/** What lies between the parser of the client library and the callbacks; there is no public hook. */
interface Protocol {
  processMsg(msg: unknown, data: Uint8Array): void;
}

/** How the client library finds the names that equal another one. */
interface HeaderLookUp {
  readonly headers: ReadonlyMap<string, unknown>;
  findKeys: (this: HeaderLookUp, name: string, match?: Match) => string[];
}

const shielded = new WeakSet<object>();

/**
 * Keeps one message from making a connection deaf. The client library calls back from inside its parser, and reads
 * headers there, too: an exception (a header with a bare line feed is one, in nats 2.29.3) ends the reading of the
 * connection for good, and nothing says so. Here it costs the message.
 */
export function guardParser(nc: NatsConnection): void {
  lookHeadersUpInTheirTable();
  readHeadersAnyway();
  const { protocol } = nc as unknown as { protocol?: Protocol };
  if (typeof protocol?.processMsg !== 'function' || shielded.has(protocol)) return;
  shielded.add(protocol);
  const processMsg = protocol.processMsg.bind(protocol);
  protocol.processMsg = (msg, data) => {
    try {
      processMsg(msg, data);
    } catch (error) {
      process.emitWarning(`A message could not be handled: ${printable((error as Error).message)}`, 'LoopstackWarning');
    }
  };
}

/** How the client library reads a block of headers. */
interface HeaderReading {
  decode: (block: Uint8Array) => MsgHdrs;
}

/**
 * The server stores headers that no client writes, such as a name with a blank in it, and at one of them the client library throws: the
 * message, or the answer that carries it, never arrives. Here it arrives without that header.
 */
export function readHeadersAnyway(): void {
  const library = headers().constructor as unknown as HeaderReading;
  const read = library.decode;
  if (typeof read !== 'function' || read.name === readAnyway.name) return;
  function readAnyway(block: Uint8Array): MsgHdrs {
    try {
      return read(block);
    } catch {
      return read(Buffer.from(legible(Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString())));
    }
  }
  library.decode = readAnyway;
}

/** The lines of a block that the client library can read. */
function legible(block: string): string {
  const [status, ...lines] = block.split('\r\n');
  const probe = headers();
  const kept = lines.filter((line) => {
    const colon = line.indexOf(':');
    if (colon < 0) return false;
    try {
      probe.append(line.slice(0, colon), line.slice(colon + 1).trim());
      return true;
    } catch {
      return false;
    }
  });
  return [status, ...kept, '', ''].join('\r\n');
}

/**
 * The client library compares each header with all others, whatever it does with them: a message with the 6,000 that the server
 * takes costs it 150 ms (nats 2.29.3). An exact name is a key of its table already.
 */
export function lookHeadersUpInTheirTable(): void {
  const library = Object.getPrototypeOf(headers()) as HeaderLookUp;
  const compare = library.findKeys;
  if (typeof compare !== 'function' || compare.name === exactKeys.name) return;
  function exactKeys(this: HeaderLookUp, name: string, match: Match = Match.Exact): string[] {
    if (match !== Match.Exact || !(this.headers instanceof Map)) return compare.call(this, name, match);
    return this.headers.has(name) ? [name] : [];
  }
  library.findKeys = exactKeys;
}
