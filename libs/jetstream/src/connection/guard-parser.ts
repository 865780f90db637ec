import { printable } from '@loopstack/shared/contract';
import { headerLibrary, isExact, messageProcessor, type HeaderLibrary } from './client-library.js';
import type { NatsConnectionLike, NatsHeaders } from './nats-connection.js';

const guarded = new WeakSet<object>();

/**
 * Keeps one message from making a connection deaf. The client library calls back from inside its parser, and reads
 * headers there, too: an exception (a header with a bare line feed is one, in nats 2.29.3 and nats-core 3.4.0) ends the
 * reading of the connection for good, and nothing says so. Here it costs the message.
 */
export function guardParser(nc: NatsConnectionLike): void {
  const processor = messageProcessor(nc);
  if (processor === undefined || guarded.has(processor)) return;
  guarded.add(processor);
  const library = headerLibrary(processor);
  if (library) {
    lookHeadersUpInTheirTable(library);
    readHeadersAnyway(library);
  }
  const processMsg = processor.processMsg.bind(processor);
  processor.processMsg = (message, data) => {
    try {
      processMsg(message, data);
    } catch (error) {
      process.emitWarning(`A message could not be handled: ${printable((error as Error).message)}`, 'LoopstackWarning');
    }
  };
}

/**
 * The server stores headers that no client writes, such as a name with a blank in it, and at one of them the client library throws: the
 * message, or the answer that carries it, never arrives. Here it arrives without that header.
 */
export function readHeadersAnyway(library: HeaderLibrary): void {
  const read = library.decode;
  if (read.name === readAnyway.name) return;
  function readAnyway(block: Uint8Array): NatsHeaders {
    try {
      return read(block);
    } catch {
      return read(Buffer.from(legible(library, Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString())));
    }
  }
  library.decode = readAnyway;
}

/** The lines of a block that the client library can read. */
function legible(library: HeaderLibrary, block: string): string {
  const [status, ...lines] = block.split('\r\n');
  const probe = new library();
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
export function lookHeadersUpInTheirTable({ prototype }: HeaderLibrary): void {
  const compare = prototype.findKeys;
  if (typeof compare !== 'function' || compare.name === exactKeys.name) return;
  function exactKeys(this: { readonly headers?: unknown }, name: string, match?: unknown): string[] {
    if (!isExact(match) || !(this.headers instanceof Map)) return (compare as NonNullable<typeof compare>).call(this, name, match);
    return this.headers.has(name) ? [name] : [];
  }
  prototype.findKeys = exactKeys;
}
