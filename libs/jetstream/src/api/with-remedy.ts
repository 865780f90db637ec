import { LoopstackError } from '@loopstack/shared/contract';
import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { JetStreamApiError } from './api-error.js';

/** The error itself, or JETSTREAM_MISSING with its remedy where it says that there is no JetStream. */
export function withRemedy(nc: NatsConnectionLike, error: unknown): unknown {
  if (!(error instanceof JetStreamApiError && error.isMissing)) return error;
  return new LoopstackError('JETSTREAM_MISSING', { server: nc.getServer(), reason: error.message }, { cause: error });
}
