import { DURABLE_METADATA, PRIORITIES, type Priority, type RunAddress, type WireNames } from '@loopstack/shared/contract';
import type { Config, ConsumerInfo } from '@loopstack/jetstream';

/** Nanoseconds in a millisecond. */
const NS = 1_000_000;

/** One durable of a workflow: the priorities that it takes, in order of arrival. */
export interface DesiredConsumer {
  readonly address: RunAddress;
  readonly priorities: readonly Priority[];
  readonly leaseMs: number;
  /** Of a lane that does not exist yet; absent: with the first command. */
  readonly beginsAt?: number | undefined;
}

/** Fields of a consumer that workers compare with what they want. */
export const CONSUMER_FIELDS = [
  'ack_policy',
  'deliver_policy',
  'ack_wait',
  'max_deliver',
  'max_ack_pending',
  'filter_subject',
  'filter_subjects',
  'replay_policy',
  'backoff',
  'inactive_threshold',
  'headers_only',
  'mem_storage',
  'rate_limit_bps',
  'max_batch',
  'max_bytes',
  'max_expires',
] as const;

/** What a workflow wants of its durables. */
export interface DesiredConsumers {
  readonly address: RunAddress;
  readonly leaseMs: number;
  /** A durable for each priority; else one takes all. */
  readonly lanes: boolean;
}

export function desiredConsumers({ address, leaseMs, lanes }: DesiredConsumers): readonly DesiredConsumer[] {
  return lanes
    ? PRIORITIES.map((priority) => ({ address, priorities: [priority], leaseMs }))
    : [{ address, priorities: PRIORITIES, leaseMs }];
}

export const leaseOf = (config: Config): number => (config['ack_wait'] as number) / NS;

/**
 * The lease of a durable that exists: what workers renew by must not be shortened while they do, or they would lose runs
 * that they execute. Pure.
 */
export function leaseToKeep(wantedMs: number, { config, num_waiting: pulls, num_ack_pending: unsettled }: ConsumerInfo): number {
  return pulls + unsettled > 0 ? Math.max(wantedMs, leaseOf(config)) : wantedMs;
}

/** Longest pause of a durable while it is split: it ends by itself where the worker dies meanwhile. */
export const SPLIT_PAUSE_MS = 10_000;

/** Until when an operator has paused a durable, and not a worker for the moment of a split; undefined: it delivers. Pure. */
export function pausedUntil({ paused, pause_remaining: ns = 0, config }: ConsumerInfo): string | undefined {
  return paused && ns > SPLIT_PAUSE_MS * NS ? (config['pause_until'] as string) : undefined;
}

/** The subjects that a durable takes. */
export function filterOf({ filter_subject: one, filter_subjects: many }: Config): readonly string[] {
  return typeof one === 'string' && one !== '' ? [one] : ((many as readonly string[] | undefined) ?? []);
}

/** Where the lanes begin of a durable that was split; what is below was its own. */
export function lanesFrom({ metadata }: Config): number | undefined {
  const from = (metadata as Readonly<Record<string, string>> | undefined)?.[DURABLE_METADATA.LANES_FROM];
  return from === undefined ? undefined : Number(from);
}

/** Whether the durable that has the name of the workflow leaves the other priorities to lanes of their own. */
export function hasLanes(names: WireNames, address: RunAddress, main: Config): boolean {
  const filter = filterOf(main);
  return filter.length === 1 && filter[0] === names.run(address);
}

export function durableOf(names: WireNames, { address, priorities }: DesiredConsumer): string {
  return names.durable(address, priorities.length === 1 ? priorities[0] : 'normal');
}

/**
 * A durable as it is wanted. One that exists keeps the place where it began, if it is a lane, and does not take back subjects that
 * it has left to lanes: it is past their commands (docs/adr/0011).
 */
export function desiredConsumer(
  names: WireNames,
  consumer: DesiredConsumer,
  existing: Config = {},
): Config & { readonly durable_name: string } {
  const { address, priorities, beginsAt } = consumer;
  const subjects = hasLanes(names, address, existing) ? filterOf(existing) : priorities.map((priority) => names.run(address, priority));
  const isLane = priorities.length === 1 && priorities[0] !== 'normal';
  const placed = existing['deliver_policy'] === undefined && beginsAt !== undefined;
  const place = placed ? { deliver_policy: 'by_start_sequence', opt_start_seq: beginsAt } : existing;
  const start = isLane && place['deliver_policy'] === 'by_start_sequence' ? place : { deliver_policy: 'all', opt_start_seq: undefined };
  return {
    durable_name: durableOf(names, consumer),
    ack_policy: 'explicit',
    deliver_policy: start['deliver_policy'],
    opt_start_seq: start['opt_start_seq'],
    replay_policy: 'instant',
    ack_wait: consumer.leaseMs * NS,
    // Attempts are counted by the worker: a message is never given up by the server.
    max_deliver: -1,
    // A delayed retry holds a place; pulls bound what a worker has.
    max_ack_pending: -1,
    // What would let it forget, starve or refuse a pull.
    backoff: [],
    inactive_threshold: 0,
    headers_only: false,
    mem_storage: false,
    rate_limit_bps: 0,
    max_batch: 0,
    max_bytes: 0,
    max_expires: 0,
    metadata: existing['metadata'],
    ...(subjects.length === 1 ? { filter_subject: subjects[0] } : { filter_subjects: subjects }),
  };
}
