import { printable } from '@loopstack/shared/contract';
import { requestFailure } from './client-library.js';
import type { NatsConnectionLike } from './nats-connection.js';

const NO_RESPONDERS = 'no responders';
const NO_JETSTREAM = 'this server does not run JetStream';

/**
 * Why a request to JetStream had no responders, in the same words wherever that is told. A server without JetStream may pass requests
 * on to others that have it, so it is told only of one that did not.
 */
export function whyNoResponders({ info }: Pick<NatsConnectionLike, 'info'>): string {
  return info === undefined || info.jetstream === true ? NO_RESPONDERS : NO_JETSTREAM;
}

/** Why a request to JetStream got no answer. */
export function whyUnanswered(nc: NatsConnectionLike, cause: unknown, timeoutMs: number): string {
  const failure = requestFailure(cause);
  if (failure === 'no-responders') return whyNoResponders(nc);
  return failure === 'timeout' ? `no answer within ${timeoutMs} ms` : printable((cause as Error).message, 300);
}
