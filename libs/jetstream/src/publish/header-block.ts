import { headersInLines, type Headers } from '@loopstack/shared/contract';
import type { NatsHeaders } from '../connection/nats-connection.js';

/** The headers in a block that `headerBlock` made. */
export function headersIn(block: Uint8Array): Headers {
  return headersInLines(Buffer.from(block.buffer, block.byteOffset, block.length).toString('utf8', HEAD.length, block.length - 2));
}

const HEAD = 'NATS/1.0\r\n';

/** The whole block as bytes; `lines` as `headerLines` made them. */
export function headerBlock(lines: string): Uint8Array {
  return Buffer.from(`${HEAD}${lines}\r\n`);
}

/**
 * What `nc.publish` takes as headers, over a block that is encoded already. The client library asks it for nothing but
 * `encode()`, and does so before `publish` returns, so one object serves every message.
 */
export class EncodedHeaders {
  block: Uint8Array = new Uint8Array(0);

  encode(): Uint8Array {
    return this.block;
  }

  asMsgHdrs(): NatsHeaders {
    return this as unknown as NatsHeaders;
  }
}
