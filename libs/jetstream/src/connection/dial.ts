import { LoopstackError, monotonicMs, parseServers, printable } from '@loopstack/shared/contract';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, credsAuthenticator, type ConnectionOptions, type NatsConnection } from 'nats';
import { requireSupportedServer } from './server-version.js';

const ANNOUNCE_MS = 5000;
const DIAL_AGAIN_AFTER_MS = 500;
/** A server that is starting may not know its accounts yet. */
const DENIALS = 2;

/** Codes of the client library for a user that the server does not take. */
const DENIED: ReadonlySet<unknown> = new Set([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'AUTHENTICATION_TIMEOUT',
  'ACCOUNT_EXPIRED',
  'BAD_AUTHENTICATION',
  'BAD_CREDS',
]);

/**
 * Options of the client library for servers whose addresses may hold credentials. A user that `options` names counts before that of the addresses.
 * @param hasCredentials the user is that of a credentials file: see `withCredentials`
 * @throws LoopstackError SERVERS_INVALID
 */
export function dialOptions(servers: string | readonly string[], options: ConnectionOptions, hasCredentials = false): ConnectionOptions {
  const { hosts, user, password, token, tls } = parseServers(servers);
  const isNamed = hasCredentials || [options.user, options.token, options.authenticator].some((given) => given !== undefined);
  return {
    ...(isNamed || user === undefined ? {} : { user, pass: password as string }),
    ...(isNamed || token === undefined ? {} : { token }),
    ...options,
    ...(tls && options.tls === undefined ? { tls: {} } : {}),
    servers: hosts.map((host) => `${tls ? 'tls' : 'nats'}://${host}`),
  };
}

/** @param credentials contents of a credentials file, if there is one */
export function withCredentials(options: ConnectionOptions, credentials: Uint8Array | undefined): ConnectionOptions {
  return credentials === undefined ? options : { ...options, authenticator: credsAuthenticator(credentials) };
}

/** Connects to a server of any version, or says why it cannot. @throws LoopstackError CONNECTION_DENIED, CONNECTION_FAILED */
export async function dialAny(options: ConnectionOptions): Promise<NatsConnection> {
  try {
    return await connect({ ...options, waitOnFirstConnect: false });
  } catch (cause) {
    throw notConnected(options, cause as Refusal);
  }
}

/** Connects, or says why it cannot. @throws LoopstackError CONNECTION_DENIED, CONNECTION_FAILED, SERVER_TOO_OLD */
export async function dial(options: ConnectionOptions): Promise<NatsConnection> {
  const nc = await dialAny(options);
  try {
    requireSupportedServer(nc);
    return nc;
  } catch (error) {
    await nc.close();
    throw error;
  }
}

/**
 * Connects, waiting as long as it takes for a server.
 * @param tell of what it waits for, at once and every 5 s
 * @throws LoopstackError CONNECTION_DENIED, SERVER_TOO_OLD
 */
export async function dialPatiently(options: ConnectionOptions, tell: (waiting: string) => void): Promise<NatsConnection> {
  let denials = 0;
  for (let toldMs = Number.NEGATIVE_INFINITY; ;) {
    try {
      return await dial(options);
    } catch (error) {
      const { code, details } = error as LoopstackError;
      denials = code === 'CONNECTION_DENIED' && options.ignoreAuthErrorAbort !== true ? denials + 1 : 0;
      if (code === 'SERVER_TOO_OLD' || denials >= DENIALS) throw error;
      if (monotonicMs() - toldMs >= ANNOUNCE_MS) {
        toldMs = monotonicMs();
        tell(`Waiting for a NATS server at ${String(details['servers'])}: ${String(details['reason'])}`);
      }
    }
    await delay(options.reconnectTimeWait ?? DIAL_AGAIN_AFTER_MS);
  }
}

/** What the client library rejects with. */
interface Refusal extends Error {
  readonly code?: string;
  readonly chainedError?: Error;
}

function notConnected(options: ConnectionOptions, cause: Refusal): LoopstackError {
  const servers = [options.servers ?? []].flat().join(', ');
  if (DENIED.has(cause.code)) return new LoopstackError('CONNECTION_DENIED', { servers, reason: plain(cause.message) }, { cause });
  return new LoopstackError('CONNECTION_FAILED', { servers, reason: reasonOf(cause, options.timeout) }, { cause });
}

function reasonOf({ code, message, chainedError }: Refusal, timeoutMs = 20_000): string {
  if (code === 'TIMEOUT') return `nothing there spoke as a NATS server within ${timeoutMs} ms`;
  if (code === 'SERVER_OPT_NA') return `the server does not offer ${message}`;
  if (code !== 'CONNECTION_REFUSED') return plain(message);
  // Where it was not refused, but ended, Node tells nothing.
  const reason = chainedError?.message ?? '';
  return reason.includes('ECONN') ? plain(reason) : 'the connection was closed before a server said anything';
}

const plain = (text: string): string => printable(text.replaceAll(/^'|'$/g, ''), 300);
