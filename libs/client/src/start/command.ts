import { headerBlock, type EncodedMessage } from '@loopstack/jetstream';
import { HEADER, type PreparedCommand } from '@loopstack/shared/contract';

/** The message that stores a command in the runs stream. */
export function encodeCommand({ subject, data, messageId: id, lines }: PreparedCommand): EncodedMessage {
  return { subject, data, block: headerBlock(`${HEADER.MSG_ID}: ${id}\r\n${lines}`) };
}
