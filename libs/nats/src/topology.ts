import { Logger } from '@nestjs/common';
import { LoopstackError, type Priority, type RunAddress, type WireNames } from '@loopstack/shared';
import { API, JetStreamApi, JetStreamApiError, type Config, type StreamInfo } from './jetstream-api.js';
import type { ResolvedNatsOptions } from './options.js';

const NS = 1_000_000;

export interface DesiredStream {
  readonly config: Config & { readonly name: string; readonly subjects: readonly string[] };
  /** Fields that must be so for the guarantees to hold, and that are updated where the server allows it. Others are only for creation. */
  readonly required: readonly string[];
}

/** The streams of DESIGN 4, as the options want them. Pure. */
export function desiredStreams(options: ResolvedNatsOptions, server: ServerVersion): readonly DesiredStream[] {
  const { names, runs, events, dead } = options;
  // max_msgs_per_subject drops also where `discard` is `new`; no_ack would leave publishers waiting.
  const common: Config = { storage: options.storage, retention: 'limits', allow_direct: true, max_msgs_per_subject: -1, no_ack: false };
  const given = (fields: Readonly<Record<string, unknown>>): string[] => Object.keys(fields).filter((field) => fields[field] !== undefined);
  const stream = (name: string, subjects: readonly string[], fixed: Config, optional: Config): DesiredStream => ({
    config: { num_replicas: options.replicas ?? 1, ...common, ...fixed, ...Object.fromEntries(Object.entries(optional).filter(([, v]) => v !== undefined)), name, subjects },
    required: [
      ...Object.keys(common),
      'subjects',
      ...Object.keys(fixed),
      ...given(optional),
      ...(options.replicas === undefined ? [] : ['num_replicas']),
    ],
  });
  const list = [
    stream(
      names.streams.events,
      names.captures.events,
      { discard: 'old', allow_atomic: true },
      { max_age: events.maxAgeMs * NS, max_bytes: events.maxBytes },
    ),
    stream(
      names.streams.dead,
      names.captures.dead,
      { discard: 'old' },
      {
        max_age: (dead.maxAgeMs ?? 0) * NS,
        max_bytes: dead.maxBytes,
        duplicate_window: dead.maxAgeMs === undefined ? 86_400_000 * NS : undefined,
      },
    ),
  ];
  if (server.atLeast(2, 12)) {
    list.push(
      stream(names.streams.schedules, names.captures.schedules, { discard: 'old', allow_msg_schedules: true, allow_msg_ttl: true }, {}),
    );
  }
  const sources = [
    {
      name: names.streams.schedules,
      subject_transforms: names.dueTransforms,
    },
  ];
  list.push(
    stream(
      names.streams.runs,
      names.captures.runs,
      // An age or a header of a producer must not drop what is queued.
      { discard: 'new', max_age: 0, allow_atomic: true, allow_rollup_hdrs: false, allow_msg_ttl: false },
      {
        max_bytes: runs.maxBytes,
        max_msgs: runs.maxMessages,
        duplicate_window: runs.deduplicationMs * NS,
        allow_batched: server.atLeast(2, 14) ? true : undefined,
        sources: server.atLeast(2, 12) ? sources : undefined,
      },
    ),
  );
  return list;
}

/** A server's version, for features that came with one. */
export class ServerVersion {
  readonly #numbers: readonly number[];

  constructor(readonly text: string) {
    this.#numbers = text.split(/[.-]/).map(Number);
  }

  atLeast(major: number, minor: number): boolean {
    const [a = 0, b = 0] = this.#numbers;
    return a > major || (a === major && b >= minor);
  }
}

/** Whether what the server has satisfies what is wanted; the server adds fields and defaults of its own. */
export function satisfies(actual: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    if (desired.length === 0 && (actual === undefined || actual === null)) return true;
    if (!Array.isArray(actual) || actual.length !== desired.length) return false;
    if (desired.every((d) => typeof d === 'string')) return desired.every((d) => actual.includes(d));
    return desired.every((d, i) => satisfies(actual[i], d));
  }
  if (typeof desired === 'object' && desired !== null) {
    return (
      typeof actual === 'object' &&
      actual !== null &&
      Object.entries(desired).every(([key, value]) => satisfies((actual as Config)[key], value))
    );
  }
  // The server leaves zero values out.
  return actual === desired || ((actual === undefined || actual === null) && (desired === false || desired === 0 || desired === ''));
}

/** Fields that the server does not change, or not always: where an update is refused, one of these is the reason. */
const FIXED = ['storage', 'retention', 'deliver_policy', 'ack_policy', 'replay_policy', 'mem_storage'];

/** Names of the required fields in which an existing configuration differs; those that cannot be changed come first. */
export function drift(actual: Config, desired: Config, required: readonly string[]): string[] {
  const differing = required.filter((field) => !satisfies(actual[field], desired[field]));
  return [...differing.filter((field) => FIXED.includes(field)), ...differing.filter((field) => !FIXED.includes(field))];
}

/** One durable of a workflow: the priorities that it takes, in order of arrival. */
export interface DesiredConsumer {
  readonly address: RunAddress;
  readonly priorities: readonly Priority[];
  readonly leaseMs: number;
}

const CONSUMER_FIELDS = [
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

export function durableOf(names: WireNames, { address, priorities }: DesiredConsumer): string {
  return names.durable(address, priorities.length === 1 ? priorities[0] : 'normal');
}

export function desiredConsumer(names: WireNames, consumer: DesiredConsumer): Config & { readonly durable_name: string } {
  const subjects = consumer.priorities.map((priority) => names.run(consumer.address, priority));
  return {
    durable_name: durableOf(names, consumer),
    ack_policy: 'explicit',
    deliver_policy: 'all',
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
    ...(subjects.length === 1 ? { filter_subject: subjects[0] } : { filter_subjects: subjects }),
  };
}

/** Provisions streams and consumers, or checks those that exist. Safe in any number of processes at once. */
export class Topology {
  readonly #logger = new Logger(Topology.name);

  constructor(
    private readonly api: JetStreamApi,
    private readonly options: ResolvedNatsOptions,
  ) {}

  /** @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING */
  async ensureStreams(): Promise<void> {
    const version = new ServerVersion(this.api.nc.info?.version ?? '0.0.0');
    for (const desired of desiredStreams(this.options, version)) await this.ensureStream(desired);
  }

  private async ensureStream({ config, required }: DesiredStream): Promise<void> {
    const { name } = config;
    let info = await this.find(name);
    if (!info) {
      if (!this.options.provision) throw new LoopstackError('TOPOLOGY_MISSING', { kind: 'Stream', name });
      try {
        info = await this.api.request<StreamInfo>(`STREAM.CREATE.${name}`, config);
        this.#logger.log(`Created stream ${name}`);
      } catch (error) {
        // Another worker was first: see what it made.
        info = error instanceof JetStreamApiError && error.errCode === API.STREAM_NAME_IN_USE ? await this.find(name) : undefined;
        if (!info) throw error;
      }
    }
    const differing = drift(info.config, config, required);
    if (differing.length === 0) return;
    const field = differing[0] as string;
    const conflict = (): LoopstackError =>
      new LoopstackError('TOPOLOGY_CONFLICT', {
        kind: 'Stream',
        name,
        field,
        actual: info.config[field] ?? 'unset',
        desired: config[field],
      });
    if (!this.options.provision) throw conflict();
    try {
      await this.api.request(`STREAM.UPDATE.${name}`, { ...info.config, ...Object.fromEntries(differing.map((f) => [f, config[f]])) });
      this.#logger.log(`Updated stream ${name}: ${differing.join(', ')}`);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.errCode === 0) throw error;
      throw Object.assign(conflict(), { cause: error });
    }
  }

  private async find(name: string): Promise<StreamInfo | undefined> {
    return this.api.streamInfo(name).catch((error: unknown) => {
      if (error instanceof JetStreamApiError && error.errCode === API.STREAM_NOT_FOUND) return undefined;
      throw error;
    });
  }

  /**
   * Makes sure that the durable exists as wanted.
   * @returns when it was created, in milliseconds since the epoch by the server's clock
   * @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING
   */
  async ensureConsumer(consumer: DesiredConsumer): Promise<number> {
    const stream = this.options.names.streams.runs;
    const config = desiredConsumer(this.options.names, consumer);
    const name = config.durable_name;
    const existing = await this.api.consumerInfo(stream, name).catch((error: unknown) => {
      if (error instanceof JetStreamApiError && error.errCode === API.CONSUMER_NOT_FOUND) return undefined;
      throw error;
    });
    const differing =
      existing &&
      drift(
        existing.config,
        config,
        CONSUMER_FIELDS.filter((f) => config[f] !== undefined),
      );
    if (existing && differing?.length === 0) return Date.parse(existing.created);
    const field = differing?.[0];
    if (!this.options.provision) {
      if (field === undefined) throw new LoopstackError('TOPOLOGY_MISSING', { kind: 'Consumer', name });
      throw new LoopstackError('TOPOLOGY_CONFLICT', {
        kind: 'Consumer',
        name,
        field,
        actual: existing?.config[field] ?? 'unset',
        desired: config[field],
      });
    }
    try {
      const { created } = await this.api.createConsumer(stream, config);
      if (differing) this.#logger.log(`Updated consumer ${name}: ${differing.join(', ')}`);
      return Date.parse(created);
    } catch (error) {
      if (field === undefined || !(error instanceof JetStreamApiError) || error.errCode === 0) throw error;
      throw Object.assign(
        new LoopstackError('TOPOLOGY_CONFLICT', {
          kind: 'Consumer',
          name,
          field,
          actual: existing?.config[field] ?? 'unset',
          desired: config[field],
        }),
        { cause: error },
      );
    }
  }
}
