/**
 * The one place that knows how client libraries differ: `nats` 2 and `@nats-io/nats-core` 3, which is not a dependency and is
 * therefore known by its names. Everything here translates and holds nothing.
 */
import type { NatsConnectionLike, NatsHeaders, NatsMessage } from './nats-connection.js';

/** Something that happened to a connection. */
export type ConnectionEvent =
  | { readonly kind: 'disconnected'; readonly server: string }
  | { readonly kind: 'reconnected'; readonly server: string }
  /** The server refused a publish or a subscription. It says so once, and answers nothing. */
  | { readonly kind: 'denied'; readonly operation: string; readonly subject: string }
  | { readonly kind: 'error'; readonly reason: string };

interface Denial {
  readonly operation: string;
  readonly subject: string;
}

/** A status of `nats` 2 has `data`, one of version 3 has a field for each type. */
interface AnyStatus {
  readonly type: string;
  readonly data?: unknown;
  readonly permissionContext?: Denial;
  readonly server?: string;
  readonly error?: Error & Partial<Denial>;
}

/** A status of a connection as this project reads it; undefined for one that it does not read. */
export function connectionEvent(status: { readonly type: string }): ConnectionEvent | undefined {
  const { type, data, server, error, permissionContext } = status as AnyStatus;
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  if (type === 'disconnect') return { kind: 'disconnected', server: server ?? text };
  if (type === 'reconnect') return { kind: 'reconnected', server: server ?? text };
  if (type !== 'error') return undefined;
  const { operation, subject } = permissionContext ?? error ?? {};
  if (operation !== undefined && subject !== undefined) return { kind: 'denied', operation, subject };
  return { kind: 'error', reason: error?.message ?? text };
}

/** Why a request got no answer. */
export type RequestFailure = 'timeout' | 'no-responders' | 'denied';

const FAILURES: ReadonlyMap<unknown, RequestFailure> = new Map([
  // Codes of NatsError, version 2.
  ['TIMEOUT', 'timeout'],
  ['503', 'no-responders'],
  ['PERMISSIONS_VIOLATION', 'denied'],
  // Names of errors of version 3. A RequestError has one of the others as its cause.
  ['TimeoutError', 'timeout'],
  ['NoResponders', 'no-responders'],
  ['NoRespondersError', 'no-responders'],
  ['PermissionViolationError', 'denied'],
]);

/** Undefined for an error that no request of a client library rejects with, or with another cause. */
export function requestFailure(error: unknown): RequestFailure | undefined {
  const { code, name, cause } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown; readonly cause?: unknown };
  return FAILURES.get(code) ?? FAILURES.get(name) ?? (name === 'RequestError' ? requestFailure(cause) : undefined);
}

/** The answers to one request, up to one without a body. Either version knows this strategy, and only by its own name. */
export function answersTo(
  nc: NatsConnectionLike,
  subject: string,
  payload: Uint8Array,
  maxWaitMs: number,
): Promise<AsyncIterable<NatsMessage>> {
  return nc.requestMany(subject, payload, { maxWait: maxWaitMs, strategy: 'jetstream' in nc ? 'sentinelMsg' : 'sentinel' });
}

/** How a client library reads a block of headers, and finds the names that equal another one. */
export interface HeaderLibrary {
  new (): NatsHeaders & { append(name: string, value: string): void };
  decode: (block: Uint8Array) => NatsHeaders;
  readonly prototype: NatsHeaders & { findKeys?: (this: { readonly headers?: unknown }, name: string, match?: unknown) => string[] };
}

/** Whether names of headers are to be equal letter by letter. */
export const isExact = (match: unknown): boolean => match === undefined || match === 0 || match === 'exact';

/** What lies between the parser of a client library and the callbacks. */
export interface MessageProcessor {
  processMsg(message: object, data: Uint8Array): void;
}

/** Undefined where a client library keeps it elsewhere. */
export function messageProcessor(nc: NatsConnectionLike): MessageProcessor | undefined {
  const { protocol } = nc as { readonly protocol?: MessageProcessor };
  return typeof protocol?.processMsg === 'function' ? protocol : undefined;
}

/**
 * The class of the headers that arrive on a connection, which only a message has: one that has no subscription but this is handed to
 * the library, beside the connection.
 */
export function headerLibrary(processor: MessageProcessor): HeaderLibrary | undefined {
  const block = Buffer.from('NATS/1.0\r\n\r\n');
  let found: HeaderLibrary | undefined;
  const callback = (_: unknown, message: { readonly headers?: { readonly constructor: unknown } }): void => {
    found = message.headers?.constructor as HeaderLibrary | undefined;
  };
  const subscriptions = { sidCounter: 1, get: () => ({ received: 0, callback }) };
  const message = { sid: 1, hdr: block.length, size: block.length, subject: Buffer.from('headers') };
  try {
    processor.processMsg.call({ inMsgs: 0, inBytes: 0, subscriptions }, message, block);
  } catch {
    return undefined;
  }
  return typeof found?.decode === 'function' ? found : undefined;
}
