import { dialPatiently, followConnection, requireSupportedServer, withCredentials, type NatsConnectionLike } from '@loopstack/jetstream';
import { Logger } from '@nestjs/common';
import type { ResolvedNatsOptions } from './options.js';

/**
 * Connects, waiting as long as it takes for the first server, and says so. Reconnects for ever.
 * @throws LoopstackError CONNECTION_DENIED, SERVER_TOO_OLD
 */
export async function openConnection({ connection, connect, credentials }: ResolvedNatsOptions): Promise<NatsConnectionLike> {
  if (connection) {
    requireSupportedServer(connection);
    return connection;
  }
  const logger = new Logger('Nats');
  const nc = await dialPatiently(withCredentials(connect, credentials), (waiting) => logger.warn(waiting));
  followConnection(nc, {
    disconnected: (server) => logger.warn(`Disconnected from ${server}`),
    reconnected: (server) => logger.log(`Reconnected to ${server}`),
    failed: (reason) => logger.error(`Connection error: ${reason}`),
  });
  return nc;
}
