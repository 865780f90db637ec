/** Facts that a server tells a client when it connects. */
export interface NatsServerInfo {
  readonly server_id: string;
  readonly server_name: string;
  readonly version: string;
  readonly max_payload: number;
  readonly cluster?: string;
  readonly connect_urls?: readonly string[];
  readonly headers?: boolean;
  /** Whether this server runs JetStream. One that does not may pass requests on to others that do. */
  readonly jetstream?: boolean;
}

/** Headers of a message. */
export interface NatsHeaders extends Iterable<[string, string[]]> {
  /** 0 for a message that is no status. */
  readonly code: number;
  readonly status: string;
  readonly description: string;
  has(name: string): boolean;
  get(name: string): string;
  last(name: string): string;
  values(name: string): string[];
}

export interface NatsMessage {
  readonly subject: string;
  readonly reply?: string;
  readonly data: Uint8Array;
  readonly headers?: NatsHeaders;
  respond(payload?: Uint8Array): boolean;
  json<T>(): T;
}

export interface NatsSubscription extends AsyncIterable<NatsMessage> {
  unsubscribe(max?: number): void;
  drain(): Promise<void>;
}

/**
 * The part of a NATS connection that Loopstack uses. A connection of `nats` 2 is one, and so is a connection of
 * `@nats-io/transport-node` 3, which Nest 12's own transport opens (docs/adr/0020). Both keep more than this, in the same
 * places; code that reads it says so, and works without it.
 */
export interface NatsConnectionLike {
  /** Undefined while it is not connected. */
  readonly info?: NatsServerInfo;
  publish(subject: string, payload?: Uint8Array, options?: { reply?: string; headers?: NatsHeaders }): void;
  subscribe(
    subject: string,
    options?: { queue?: string; callback?: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** @param options `timeout` in milliseconds */
  request(subject: string, payload?: Uint8Array, options?: { timeout: number; headers?: NatsHeaders }): Promise<NatsMessage>;
  /** @param options `maxWait` in milliseconds; strategies differ by client library: see `answersTo` */
  requestMany(
    subject: string,
    payload?: Uint8Array,
    options?: { strategy?: string; maxWait?: number },
  ): Promise<AsyncIterable<NatsMessage>>;
  /** What happens to the connection, in the form of its client library: see `followConnection`. */
  status(): AsyncIterable<{ readonly type: string }>;
  flush(): Promise<void>;
  /** Milliseconds. */
  rtt(): Promise<number>;
  getServer(): string;
  reconnect(): Promise<void>;
  close(): Promise<void>;
  closed(): Promise<void | Error>;
  isClosed(): boolean;
  isDraining(): boolean;
}
