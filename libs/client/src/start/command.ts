import { headerBlock, type EncodedMessage } from '@loopstack/jetstream';
import { HEADER, type PreparedCommand } from '@loopstack/shared/contract';

export interface EncodedCommand extends EncodedMessage {
  readonly runId: string;
}

/** The message that stores a command in the runs stream. */
export function encodeCommand({ subject, data, messageId: id, lines, runId }: PreparedCommand): EncodedCommand {
  return { subject, data, block: headerBlock(`${HEADER.MSG_ID}: ${id}\r\n${lines}`), runId };
}
