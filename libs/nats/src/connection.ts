import { Logger } from '@nestjs/common';
import { Events, connect, credsAuthenticator, type ConnectionOptions, type NatsConnection } from 'nats';
import type { ResolvedNatsOptions } from './options.js';

const ANNOUNCE_MS = 5000;

/** Connects with the contents of a credentials file, if there are any, waiting for the first server. */
export function connectWith(options: ConnectionOptions, credentials: Uint8Array | undefined): Promise<NatsConnection> {
  const authenticator = credentials === undefined ? {} : { authenticator: credsAuthenticator(credentials) };
  return connect({ ...options, ...authenticator, waitOnFirstConnect: true });
}

/** Connects, waiting as long as it takes for the first server, and says so. Reconnects for ever. */
export async function openConnection(options: ResolvedNatsOptions): Promise<NatsConnection> {
  if (options.connection) return options.connection;
  const logger = new Logger('Nats');
  const servers = [options.connect.servers]
    .flat()
    .join(', ')
    .replaceAll(/\/\/[^@/]*@/g, '//');
  const waiting = setInterval(() => logger.warn(`Waiting for a NATS server at ${servers}`), ANNOUNCE_MS);
  try {
    const nc = await connectWith(options.connect, options.credentials);
    void log(nc, logger);
    return nc;
  } finally {
    clearInterval(waiting);
  }
}

async function log(nc: NatsConnection, logger: Logger): Promise<void> {
  for await (const { type, data } of nc.status()) {
    if (type === Events.Disconnect) logger.warn(`Disconnected from ${JSON.stringify(data)}`);
    else if (type === Events.Reconnect) logger.log(`Reconnected to ${JSON.stringify(data)}`);
    else if (type === Events.Error) logger.error(`Connection error: ${JSON.stringify(data)}`);
  }
}
