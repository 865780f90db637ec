import type { ConnectionOptions, NatsConnection } from 'nats';
import {
  LoopstackError,
  durationMs,
  isSubjectFilter,
  jsonType,
  sizeBytes,
  timerMs,
  wireNames,
  type CommandSigner,
  type Duration,
  type Size,
  type WireNames,
} from '@loopstack/shared/contract';

/** Options of `NatsModule.forRoot`. All optional; sizes and counts that are not given are left as they are on the server. */
export interface NatsOptions {
  /** Default `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /** Contents of a credentials file: the user's JWT and NKey seed. */
  readonly credentials?: Uint8Array;
  /** Anything else that the `nats` client takes: user, token, TLS, name, inbox prefix. With an authenticator, which is a function, leases are kept by the main thread alone. */
  readonly connect?: ConnectionOptions;
  /** A connection that the application has already; it stays the application's to close. Leases are then kept by the main thread alone, unless `servers` tells the lease thread where to go. */
  readonly connection?: NatsConnection;
  /** First token of every subject, and in upper case of every stream. Default `loopstack`. */
  readonly prefix?: string;
  /** JetStream domain of the streams, where they are behind a leaf node. */
  readonly domain?: string;
  /** Creates and updates streams and consumers. False: they must exist (users without stream-admin rights). Default true. */
  readonly provision?: boolean;
  /** Copies of each stream in a cluster, 1, 3 or 5. */
  readonly replicas?: number;
  /** Default `file`. Memory forgets on restart and is for tests. */
  readonly storage?: 'file' | 'memory';
  readonly runs?: {
    /** When it is full, publishes are refused (STREAM_FULL) and nothing queued is dropped. */
    readonly maxBytes?: Size;
    readonly maxMessages?: number;
    /** Time in which the server drops a second message with the same id. Default `'2m'`; the server's own is none for a stream with sources. */
    readonly deduplication?: Duration;
    /** Time that executed commands are kept for replay. Default `'7d'`. */
    readonly keepExecuted?: Duration;
    /**
     * Time that commands wait for the first worker of their workflow; then they are dead letters (`unroutable`). So they are at once where more
     * than 1,000 names wait. Default `'7d'`.
     */
    readonly unservedAfter?: Duration;
  };
  readonly events?: {
    /** Default `'30d'`. A run whose events are gone is forgotten. */
    readonly maxAge?: Duration;
    readonly maxBytes?: Size;
  };
  readonly dead?: {
    /** Default: for ever. */
    readonly maxAge?: Duration;
    readonly maxBytes?: Size;
  };
  /**
   * Keeps a stream (`<PREFIX>_INBOUND`) for the events of bindings that no other stream captures. It captures live
   * subjects then: who sends a request on one gets the stream's acknowledgement as the first answer. Default false: such
   * a binding stops the boot.
   */
  readonly inbound?:
    | boolean
    | {
        /** Captured beside the subjects of the bindings; wide ones spare updates. */
        readonly subjects?: readonly string[];
        /** Default `'7d'`. */
        readonly maxAge?: Duration;
        readonly maxBytes?: Size;
      };
  /** Longest wait for the acknowledgement of a publish. Default `'5s'`, at most 24 days. */
  readonly publishTimeout?: Duration;
  /** Publishes written and not yet acknowledged; further callers wait in order. Default 4096. */
  readonly maxInFlight?: number;
  /** What a publish does while the connection is down: wait up to its timeout, or fail at once. Default `wait`. */
  readonly whileDisconnected?: 'wait' | 'fail';
  /** Signs what this process publishes (runs, redrives, runs that events start), for workspaces that demand it: `commandSigner(seed)`. */
  readonly sign?: CommandSigner;
  /** Time that running workflows get to finish when the process is asked to stop. Default `'25s'`, at most 24 days. */
  readonly shutdownGrace?: Duration;
  /**
   * Longest time for which the event loop of a worker may stand still, in a handler that never yields or in native code. Then the process is
   * ended (SIGKILL, with its last words on stderr): what runs in it has used an attempt, and everything else goes on, here after a restart
   * or in another worker. Default: four times the longest lease of its workflows, at least `'2m'`; from 1 s to 24 days.
   */
  readonly maxBlocked?: Duration;
  /** Silence of a consumer after which its pull is made anew is two and a half times this. Default `'1s'`. */
  readonly heartbeat?: Duration;
  /**
   * Silence after which a release does not run any more, for those of other releases; its workers say so four times as often. Default `'2m'`,
   * at least 2 s: a worker whose event loop is blocked for a minute still runs.
   */
  readonly releaseSilence?: Duration;
  /** A workflow with queued runs and no progress for this long makes readiness red. Default `'2m'`. */
  readonly stalledAfter?: Duration;
}

export interface ResolvedNatsOptions {
  readonly connection: NatsConnection | undefined;
  readonly connect: ConnectionOptions;
  readonly credentials: Uint8Array | undefined;
  /** Whether the lease thread can open a connection of its own. */
  readonly leaseThread: boolean;
  readonly names: WireNames;
  readonly domain: string | undefined;
  readonly provision: boolean;
  readonly replicas: number | undefined;
  readonly storage: 'file' | 'memory';
  readonly runs: {
    readonly maxBytes: number | undefined;
    readonly maxMessages: number | undefined;
    readonly deduplicationMs: number;
    readonly keepExecutedMs: number;
    readonly unservedAfterMs: number;
  };
  readonly events: { readonly maxAgeMs: number; readonly maxBytes: number | undefined };
  readonly dead: { readonly maxAgeMs: number | undefined; readonly maxBytes: number | undefined };
  readonly inbound: { readonly subjects: readonly string[]; readonly maxAgeMs: number; readonly maxBytes: number | undefined } | undefined;
  readonly publishTimeoutMs: number;
  readonly maxInFlight: number;
  readonly whileDisconnected: 'wait' | 'fail';
  readonly sign: CommandSigner | undefined;
  readonly shutdownGraceMs: number;
  /** Undefined: four times the longest lease, at least two minutes. */
  readonly maxBlockedMs: number | undefined;
  readonly heartbeatMs: number;
  readonly releaseSilenceMs: number;
  readonly stalledAfterMs: number;
}

const maybe = <T, R>(value: T | undefined, map: (value: T) => R): R | undefined => (value === undefined ? undefined : map(value));

function integer(option: string, value: number, min: number): number {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new LoopstackError('OPTION_INVALID', {
      option,
      expected: `an integer of at least ${min}`,
      received: typeof value === 'number' ? String(value) : jsonType(value),
    });
  }
  return value;
}

function resolveInbound(given: NonNullable<NatsOptions['inbound']>): ResolvedNatsOptions['inbound'] {
  if (given === false) return undefined;
  const { subjects = [], maxAge = '7d', maxBytes } = given === true ? {} : given;
  for (const subject of subjects) {
    if (!isSubjectFilter(subject)) {
      throw new LoopstackError('OPTION_INVALID', { option: 'inbound.subjects', expected: 'subjects', received: JSON.stringify(subject) });
    }
  }
  return { subjects, maxAgeMs: durationMs('inbound.maxAge', maxAge), maxBytes: maybe(maxBytes, (v) => sizeBytes('inbound.maxBytes', v)) };
}

/** Less than a second is a pause of the garbage collector, and not worth a process. */
const SHORTEST_BLOCK_MS = 1000;

function resolveMaxBlocked(given: Duration): number {
  const ms = timerMs('maxBlocked', given);
  if (ms >= SHORTEST_BLOCK_MS) return ms;
  throw new LoopstackError('OPTION_INVALID', {
    option: 'maxBlocked',
    expected: 'a duration of at least 1s',
    received: JSON.stringify(given),
  });
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveNatsOptions(given: NatsOptions = {}): ResolvedNatsOptions {
  const { runs = {}, events = {}, dead = {} } = given;
  const servers = given.servers ?? 'nats://127.0.0.1:4222';
  return Object.freeze({
    connection: given.connection,
    connect: {
      name: 'loopstack',
      ...given.connect,
      servers: typeof servers === 'string' ? servers.split(',') : [...servers],
      // The client's own default gives up after ten tries, and then a consumer ends without an error.
      maxReconnectAttempts: -1,
      // Its defaults notice a dead connection after six minutes, and wait 20 s for the first word of a server.
      pingInterval: given.connect?.pingInterval ?? 10_000,
      timeout: given.connect?.timeout ?? 5000,
      reconnectTimeWait: given.connect?.reconnectTimeWait ?? 500,
    },
    credentials: given.credentials,
    leaseThread: (given.connection === undefined || given.servers !== undefined) && given.connect?.authenticator === undefined,
    names: wireNames(given.prefix),
    domain: given.domain,
    provision: given.provision ?? true,
    replicas: maybe(given.replicas, (n) => integer('replicas', n, 1)),
    storage: given.storage ?? 'file',
    runs: {
      maxBytes: maybe(runs.maxBytes, (v) => sizeBytes('runs.maxBytes', v)),
      maxMessages: maybe(runs.maxMessages, (n) => integer('runs.maxMessages', n, 1)),
      deduplicationMs: durationMs('runs.deduplication', runs.deduplication ?? '2m'),
      keepExecutedMs: durationMs('runs.keepExecuted', runs.keepExecuted ?? '7d'),
      unservedAfterMs: durationMs('runs.unservedAfter', runs.unservedAfter ?? '7d'),
    },
    events: {
      maxAgeMs: durationMs('events.maxAge', events.maxAge ?? '30d'),
      maxBytes: maybe(events.maxBytes, (v) => sizeBytes('events.maxBytes', v)),
    },
    dead: {
      maxAgeMs: maybe(dead.maxAge, (v) => durationMs('dead.maxAge', v)),
      maxBytes: maybe(dead.maxBytes, (v) => sizeBytes('dead.maxBytes', v)),
    },
    inbound: resolveInbound(given.inbound ?? false),
    publishTimeoutMs: timerMs('publishTimeout', given.publishTimeout ?? '5s'),
    maxInFlight: integer('maxInFlight', given.maxInFlight ?? 4096, 1),
    whileDisconnected: given.whileDisconnected ?? 'wait',
    sign: given.sign,
    shutdownGraceMs: timerMs('shutdownGrace', given.shutdownGrace ?? '25s'),
    maxBlockedMs: maybe(given.maxBlocked, resolveMaxBlocked),
    heartbeatMs: Math.max(100, durationMs('heartbeat', given.heartbeat ?? '1s')),
    releaseSilenceMs: Math.max(2000, timerMs('releaseSilence', given.releaseSilence ?? '2m')),
    stalledAfterMs: durationMs('stalledAfter', given.stalledAfter ?? '2m'),
  });
}
