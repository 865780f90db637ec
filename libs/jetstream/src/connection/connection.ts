import { monotonicMs, localMs } from '@loopstack/shared/contract';
import { createInbox } from 'nats';
import { connectionEvent, type ConnectionEvent } from './client-library.js';
import type { NatsConnectionLike } from './nats-connection.js';

export interface ConnectionListener {
  disconnected?(server: string): void;
  reconnected?(server: string): void;
  /** The server refused a publish to `subject`. It says so once, and answers nothing. */
  denied?(subject: string): void;
  /** The server refused something, or the connection failed, in words. */
  failed?(reason: string): void;
  /** The connection is closed for good. */
  closed?(): void;
}

/** By connection: its statuses are read once for all, since what hangs on its end lives as long as it. */
const followed = new WeakMap<NatsConnectionLike, Set<ConnectionListener>>();

/** Follows a connection until it is closed or the returned function is called. */
export function followConnection(nc: NatsConnectionLike, listener: ConnectionListener): () => void {
  const listeners = (nc.isClosed() ? undefined : followed.get(nc)) ?? follow(nc);
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function follow(nc: NatsConnectionLike): Set<ConnectionListener> {
  const listeners = new Set<ConnectionListener>();
  followed.set(nc, listeners);
  const statuses = nc.status();
  const read = async (): Promise<void> => {
    for await (const status of statuses) {
      const event = connectionEvent(status);
      if (event) for (const listener of [...listeners]) tell(listener, event);
    }
  };
  void read();
  void nc.closed().then(() => {
    // Version 2 of the client library ends the iterator neither when the connection is closed nor with the loop.
    (statuses as unknown as { stop(): void }).stop();
    const left = [...listeners];
    listeners.clear();
    for (const listener of left) listener.closed?.();
  });
  return listeners;
}

function tell(listener: ConnectionListener, event: ConnectionEvent): void {
  if (event.kind === 'disconnected') listener.disconnected?.(event.server);
  else if (event.kind === 'reconnected') listener.reconnected?.(event.server);
  else if (event.kind === 'error') listener.failed?.(event.reason);
  else {
    if (event.operation === 'publish') listener.denied?.(event.subject);
    listener.failed?.(`this user has no permission for a ${event.operation} to ${event.subject}`);
  }
}

/** A stream without a leader answers nothing; a request that is repeated meets the next leader. */
const REPEAT_REQUEST_MS = 2000;

/**
 * The answer to a request that changes nothing. A request over a connection that is gone, or to a stream between two leaders, gets no answer,
 * and the client library would wait for it until its timeout. So it is repeated over the next connection, and every two seconds. The first
 * answer counts.
 * @param timeoutMs for all of it; again for a new connection, but at most twice as long together
 * @param ask rejects when there was no answer within the time it is given
 */
export function requestWithRetry<T>(nc: NatsConnectionLike, timeoutMs: number, ask: (timeoutMs: number) => Promise<T>): Promise<T> {
  const latestMs = monotonicMs() + 2 * timeoutMs;
  return new Promise<T>((resolve, reject) => {
    let unanswered = 0;
    let timer: NodeJS.Timeout | undefined;
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      unfollow();
      done();
    };
    const attempt = (endMs: number): void => {
      clearTimeout(timer);
      const leftMs = endMs - monotonicMs();
      if (leftMs <= 0) return;
      unanswered++;
      if (leftMs > REPEAT_REQUEST_MS) timer = setTimeout(attempt, REPEAT_REQUEST_MS, endMs);
      ask(leftMs).then(
        (answer) => settle(() => resolve(answer)),
        (error: Error) => {
          if (--unanswered === 0) settle(() => reject(error));
        },
      );
    };
    const unfollow = followConnection(nc, { reconnected: () => attempt(Math.min(monotonicMs() + timeoutMs, latestMs)) });
    attempt(monotonicMs() + timeoutMs);
  });
}

/** What the client library keeps of the options of its connection. */
interface Kept {
  readonly options?: { readonly inboxPrefix?: string; readonly servers?: string | readonly string[]; readonly reconnect?: boolean };
}

/** True where a server that does not answer can be left for another one. */
export function hasOtherServers(nc: NatsConnectionLike): boolean {
  const configured = [(nc as Kept).options?.servers ?? []].flat().length;
  return Math.max(configured, nc.info?.connect_urls?.length ?? 0) > 1;
}

/** False: it would be closed for good where it is asked to. */
export function mayReconnect(nc: NatsConnectionLike): boolean {
  return (nc as Kept).options?.reconnect !== false;
}

/** What the client library keeps of its servers: the next one to connect to is at the front, and goes behind the others then. */
interface Listed {
  readonly protocol?: {
    readonly servers?: { readonly servers?: readonly unknown[]; getCurrentServer?(): unknown; selectServer?(): unknown };
  };
}

/**
 * Makes the connection anew, with another server where there is one. The client library would go back to the server that it connected to
 * first: that one is at the front of its list until another one is taken.
 */
export async function reconnectElsewhere(nc: NatsConnectionLike): Promise<void> {
  const known = (nc as Listed).protocol?.servers;
  if (known?.servers?.[0] === known?.getCurrentServer?.()) known?.selectServer?.();
  await nc.reconnect().catch(() => undefined);
}

/** Leaves the server for another one, where there is one. A server that is cut off from the others still talks to its clients. */
export async function failover(nc: NatsConnectionLike): Promise<void> {
  if (!nc.isClosed() && !nc.isDraining() && mayReconnect(nc) && hasOtherServers(nc)) await reconnectElsewhere(nc);
}

/** A new inbox under the connection's own prefix: users with narrow permissions may subscribe nowhere else. */
export function inboxOf(nc: NatsConnectionLike): string {
  return createInbox((nc as Kept).options?.inboxPrefix);
}

/** What the client library keeps for its dials. */
interface Dialing {
  readonly protocol?: {
    readonly options?: { reconnectDelayHandler?: () => number };
    readonly servers?: { readonly servers?: readonly { lastConnect: number }[] };
  };
}

const steady = new WeakSet<object>();

/**
 * The client library measures the wait between two dials of a server by the wall clock: one that is set back by an hour would keep it
 * from dialing for an hour. It asks for the length of the wait before each turn.
 */
export function steadyDials(nc: NatsConnectionLike): void {
  const { protocol } = nc as Dialing;
  const { options, servers } = protocol ?? {};
  const waitMs = options?.reconnectDelayHandler;
  if (!options || !waitMs || steady.has(options)) return;
  steady.add(options);
  options.reconnectDelayHandler = () => {
    for (const server of servers?.servers ?? []) if (server.lastConnect > localMs()) server.lastConnect = 0;
    return waitMs();
  };
}
