import type { NatsConnectionLike } from '@loopstack/jetstream';
import { connect as connect3 } from '@nats-io/transport-node';
import { connect as connect2 } from 'nats';

interface Access {
  readonly user?: string;
  readonly pass?: string;
  readonly inboxPrefix?: string;
}

/** A connection that reconnects fast and for ever. */
export type Connect = (servers: string, access?: Access) => Promise<NatsConnectionLike>;

const FAST = { maxReconnectAttempts: -1, reconnectTimeWait: 20, noAsyncTraces: true };

/** The client libraries whose connections an application may have. */
export const CLIENTS: readonly (readonly [name: string, connect: Connect])[] = [
  ['nats 2', (servers, access) => connect2({ servers, ...FAST, ...access })],
  ['nats 3', (servers, access) => connect3({ servers, ...FAST, ...access })],
];
