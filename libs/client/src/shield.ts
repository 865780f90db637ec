import { printable } from '@loopstack/shared/contract';
import type { NatsConnection } from 'nats';

/** What lies between the parser of the client library and the callbacks; there is no public hook. */
interface Protocol {
  processMsg(msg: unknown, data: Uint8Array): void;
}

const shielded = new WeakSet<object>();

/**
 * Keeps one message from making a connection deaf. The client library calls back from inside its parser, and reads
 * headers there, too: an exception (a header with a bare line feed is one, in nats 2.29.3) ends the reading of the
 * connection for good, and nothing says so. Here it costs the message.
 */
export function shield(nc: NatsConnection): void {
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
