import type { ConnectionOptions } from 'nats';
import { dialOptions, type NatsConnectionLike } from '@loopstack/jetstream';
import { resolveStreamOptions, type ResolvedStreamOptions, type StreamOptions } from '@loopstack/operations';
import {
  LoopstackError,
  assertName,
  durationMs,
  integerFrom,
  invalidOption,
  timerMs,
  type CommandSigner,
  type Duration,
} from '@loopstack/shared/contract';

export type NatsRole = 'producer' | 'worker';

const ROLES: readonly string[] = ['producer', 'worker'] satisfies NatsRole[];

/** Options of `NatsModule.forRoot`. All optional; sizes and counts that are not given are left as they are on the server. */
export interface NatsOptions extends StreamOptions {
  /**
   * Name of this connection, where an application has several: two clusters, or two prefixes. What it provides is injected by
   * `@InjectRunService(name)` and `@InjectNats(token, name)`. Default: none; one connection of an application may go without.
   */
  readonly name?: string;
  /**
   * What this process does over the connection. Without `worker` it consumes nothing, whatever is registered; without `producer`
   * its `RunService` starts nothing. Default both.
   */
  readonly roles?: readonly NatsRole[];
  /**
   * Workspaces that this process serves over the connection, with their events, chains, and schedules. Default: all that are
   * registered.
   */
  readonly workspaces?: readonly string[];
  /** False: the worker consumes once `start()` of the `JetStreamServer` is called. Default true. */
  readonly autoStart?: boolean;
  /** Default `nats://127.0.0.1:4222`. May have credentials: `nats://user:password@host`, `nats://token@host`; `tls://` insists on TLS. */
  readonly servers?: string | readonly string[];
  /** Contents of a credentials file: the user's JWT and NKey seed. */
  readonly credentials?: Uint8Array;
  /** Anything else that the `nats` client takes: user, token, TLS, name, inbox prefix. With an authenticator, which is a function, leases are kept by the main thread alone. */
  readonly connect?: ConnectionOptions;
  /** A connection that the application has already, of `nats` 2 or `@nats-io/transport-node` 3; it stays the application's to close. Leases are then kept by the main thread alone, unless `servers` tells the lease thread where to go. */
  readonly connection?: NatsConnectionLike;
  /** JetStream domain of the streams, where they are behind a leaf node. */
  readonly domain?: string;
  /** Creates and updates streams and consumers. False: they must exist (users without stream-admin rights). Default true. */
  readonly provision?: boolean;
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

export interface ResolvedNatsOptions extends ResolvedStreamOptions {
  readonly name: string | undefined;
  readonly roles: ReadonlySet<NatsRole>;
  /** Undefined: all that are registered. */
  readonly workspaces: readonly string[] | undefined;
  readonly serves: (workspace: string) => boolean;
  readonly autoStart: boolean;
  readonly connection: NatsConnectionLike | undefined;
  readonly connect: ConnectionOptions;
  readonly credentials: Uint8Array | undefined;
  /** Whether the lease thread can open a connection of its own. */
  readonly leaseThread: boolean;
  readonly domain: string | undefined;
  readonly provision: boolean;
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

type ProcessOptions = Pick<ResolvedNatsOptions, 'name' | 'roles' | 'workspaces' | 'serves' | 'autoStart'>;

/** What this process does over the connection. */
function resolveProcess({ name, roles = ['producer', 'worker'], workspaces, autoStart = true }: NatsOptions): ProcessOptions {
  if (name !== undefined) assertName('name', name);
  const given: readonly unknown[] = Array.isArray(roles) ? roles : [roles];
  const wrong = given.find((role) => !ROLES.includes(role as string));
  if (given.length === 0 || wrong !== undefined) throw invalidOption('roles', `some of ${ROLES.join(', ')}`, wrong);
  for (const workspace of workspaces ?? []) assertName('workspaces', workspace);
  return {
    name,
    roles: new Set(roles),
    workspaces,
    serves: (workspace) => workspaces?.includes(workspace) ?? true,
    autoStart,
  };
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveNatsOptions(given: NatsOptions = {}): ResolvedNatsOptions {
  const servers = given.servers ?? 'nats://127.0.0.1:4222';
  return Object.freeze({
    ...resolveStreamOptions(given),
    ...resolveProcess(given),
    connection: given.connection,
    connect: dialOptions(
      servers,
      {
        name: 'loopstack',
        ...given.connect,
        // The client's own default gives up after ten tries, and then a consumer ends without an error.
        maxReconnectAttempts: -1,
        // Its defaults notice a dead connection after six minutes, and wait 20 s for the first word of a server.
        pingInterval: given.connect?.pingInterval ?? 10_000,
        timeout: given.connect?.timeout ?? 5000,
        reconnectTimeWait: given.connect?.reconnectTimeWait ?? 500,
      },
      given.credentials !== undefined,
    ),
    credentials: given.credentials,
    leaseThread: (given.connection === undefined || given.servers !== undefined) && given.connect?.authenticator === undefined,
    domain: given.domain,
    provision: given.provision ?? true,
    publishTimeoutMs: timerMs('publishTimeout', given.publishTimeout ?? '5s'),
    maxInFlight: integerFrom('maxInFlight', 1, given.maxInFlight ?? 4096),
    whileDisconnected: given.whileDisconnected ?? 'wait',
    sign: given.sign,
    shutdownGraceMs: timerMs('shutdownGrace', given.shutdownGrace ?? '25s'),
    maxBlockedMs: given.maxBlocked === undefined ? undefined : resolveMaxBlocked(given.maxBlocked),
    heartbeatMs: Math.max(100, durationMs('heartbeat', given.heartbeat ?? '1s')),
    releaseSilenceMs: Math.max(2000, timerMs('releaseSilence', given.releaseSilence ?? '2m')),
    stalledAfterMs: durationMs('stalledAfter', given.stalledAfter ?? '2m'),
  });
}
