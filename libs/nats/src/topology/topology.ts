import { Logger } from '@nestjs/common';
import { DURABLE_METADATA, LoopstackError, type RunAddress } from '@loopstack/shared';
import {
  CONSUMER_FIELDS,
  SPLIT_PAUSE_MS,
  desiredConsumer,
  desiredConsumers,
  desiredStreams,
  drift,
  durableOf,
  hasLanes,
  lanesFrom,
  leaseOf,
  leaseToKeep,
  pausedUntil,
  type DesiredConsumer,
  type DesiredConsumers,
  type DesiredStream,
} from '@loopstack/operations';
import {
  ERR_CODE,
  JetStreamApiError,
  hasCode,
  isUnavailable,
  type ConsumerInfo,
  type JetStreamApi,
  type StreamInfo,
} from '@loopstack/jetstream';
import type { ResolvedNatsOptions } from '../options.js';

const normalOf = (consumer: DesiredConsumer): DesiredConsumer => ({ ...consumer, priorities: ['normal'] });

/** The server did not say what it thinks of a configuration. */
const unanswered = (error: unknown): boolean => !(error instanceof JetStreamApiError) || error.errCode === 0 || isUnavailable(error);

export interface EnsuredConsumer {
  readonly createdMs: number;
  readonly leaseMs: number;
  readonly pausedUntil: string | undefined;
}

const ensured = (info: ConsumerInfo): EnsuredConsumer => ({
  createdMs: Date.parse(info.created),
  leaseMs: leaseOf(info.config),
  pausedUntil: pausedUntil(info),
});

/** Provisions streams and consumers, or checks those that exist. Safe in any number of processes at once. */
export class Topology {
  readonly #api: JetStreamApi;
  readonly #options: ResolvedNatsOptions;
  readonly #logger = new Logger(Topology.name);
  /** Consumers of which it was told that their lease is longer than wanted. */
  readonly #longerLeases = new Set<string>();

  constructor(api: JetStreamApi, options: ResolvedNatsOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING */
  async ensureStreams(): Promise<void> {
    const version = this.#api.nc.info?.version ?? '0.0.0';
    for (const desired of desiredStreams(this.#options, version)) await this.#ensureStream(desired);
  }

  async #ensureStream({ config, required }: DesiredStream): Promise<void> {
    const { name } = config;
    let info = await this.#api.findStream(name);
    if (!info) {
      if (!this.#options.provision) throw new LoopstackError('TOPOLOGY_MISSING', { kind: 'Stream', name });
      try {
        info = await this.#api.request<StreamInfo>(`STREAM.CREATE.${name}`, config);
        this.#logger.log(`Created stream ${name}`);
      } catch (error) {
        // Another worker was first: see what it made.
        info = hasCode(error, ERR_CODE.STREAM_NAME_IN_USE) ? await this.#api.findStream(name) : undefined;
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
    if (!this.#options.provision) throw conflict();
    try {
      await this.#api.request(`STREAM.UPDATE.${name}`, { ...info.config, ...Object.fromEntries(differing.map((f) => [f, config[f]])) });
      this.#logger.log(`Updated stream ${name}: ${differing.join(', ')}`);
    } catch (error) {
      if (unanswered(error)) throw error;
      throw Object.assign(conflict(), { cause: error });
    }
  }

  #tellOfLongerLease(name: string, leaseMs: number, wantedMs: number): void {
    if (this.#longerLeases.has(name)) return;
    this.#longerLeases.add(name);
    const why = 'other workers renew by it, or have commands of it';
    this.#logger.warn(`Consumer ${name} keeps its lease of ${leaseMs} ms: ${why}. ${wantedMs} ms come with a worker that starts alone`);
  }

  /**
   * The durables that a workflow is consumed from. A subject has one durable for ever, so lanes that exist stay, and those that
   * are wanted beside a durable that took all priorities begin where it stands (docs/adr/0011).
   * @returns `sharedUntilMs`: commands that were stored before then may have been delivered by two of them; 0 where none was
   */
  async consumersOf(wanted: DesiredConsumers): Promise<{ readonly consumers: readonly DesiredConsumer[]; readonly sharedUntilMs: number }> {
    const { address } = wanted;
    const { names, provision } = this.#options;
    const [main, laneExists] = await Promise.all([
      this.#api.findConsumer(names.streams.runs, names.durable(address)),
      // Without the right to provision nothing is split: what differs is a conflict.
      provision && !wanted.lanes && this.#laneExists(address),
    ]);
    const isSplit = main !== undefined && hasLanes(names, address, main.config);
    // The lanes would not be paused.
    const isPaused = main !== undefined && !isSplit && pausedUntil(main) !== undefined;
    const lanes = !isPaused && (wanted.lanes || isSplit || laneExists);
    if (isPaused && (wanted.lanes || laneExists)) {
      const when = 'it gets queues for priorities from the first worker that starts when it is resumed';
      this.#logger.warn(`${address.workspace}.${address.workflow} is paused: ${when}`);
    }
    if (lanes && !wanted.lanes) {
      const reason = 'has queues of its own for priorities, and they stay';
      this.#logger.warn(`${address.workspace}.${address.workflow} ${reason}: say so with priorities: true (docs/adr/0011)`);
    }
    const { sharedUntilMs, beginsAt } =
      lanes && main && !isSplit && provision ? await this.#split(address) : { sharedUntilMs: 0, beginsAt: main && lanesFrom(main.config) };
    const consumers = desiredConsumers({ ...wanted, lanes }).map((consumer) => ({ ...consumer, beginsAt }));
    return { consumers, sharedUntilMs };
  }

  async #laneExists(address: RunAddress): Promise<boolean> {
    const { names } = this.#options;
    const lanes = (['high', 'low'] as const).map((priority) =>
      this.#api.findConsumer(names.streams.runs, names.durable(address, priority)),
    );
    return (await Promise.all(lanes)).some((lane) => lane !== undefined);
  }

  /**
   * Narrows the durable of all priorities to its own, while it delivers nothing. In the same step it says where the lanes begin, behind
   * what it has delivered: wherever a split ends early, it is done or it has not begun.
   */
  async #split(address: RunAddress): Promise<{ readonly sharedUntilMs: number; readonly beginsAt: number | undefined }> {
    const { names } = this.#options;
    const name = names.durable(address);
    const stream = names.streams.runs;
    await this.#pause(stream, name);
    try {
      const { config, delivered } = await this.#api.consumerInfo(stream, name);
      // Another worker was first: its place counts.
      if (hasLanes(names, address, config)) return { sharedUntilMs: this.#api.clock.nowMs(), beginsAt: lanesFrom(config) };
      const beginsAt = delivered.stream_seq + 1;
      const metadata = { ...(config['metadata'] as object | undefined), [DURABLE_METADATA.LANES_FROM]: String(beginsAt) };
      const narrow = { ...config, durable_name: name, filter_subjects: undefined, filter_subject: names.run(address), metadata };
      const { ts } = await this.#api.createConsumer(stream, narrow);
      this.#logger.warn(`Consumer ${name} leaves high and low priority to queues of their own, from ${beginsAt} on`);
      return { sharedUntilMs: ts === undefined ? this.#api.clock.nowMs() : Date.parse(ts), beginsAt };
    } finally {
      await this.#api.pauseConsumer(stream, name, undefined).catch(() => undefined);
    }
  }

  /** Servers before 2.11 and users without the right to it cannot: what is delivered in the moment of the split may be run twice then. */
  async #pause(stream: string, name: string): Promise<void> {
    try {
      await this.#api.pauseConsumer(stream, name, new Date(this.#api.clock.nowMs() + SPLIT_PAUSE_MS));
      // In a cluster the answer comes before the consumer's leader knows.
      for (let tries = 0; tries < 20; tries++) {
        if ((await this.#api.consumerInfo(stream, name)).paused) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } catch (error) {
      this.#logger.debug(`Consumer ${name} could not be paused: ${(error as Error).message}`);
    }
  }

  /** Makes sure of a durable under a running worker: its stream may be gone with it. @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING */
  async restoreConsumer(consumer: DesiredConsumer): Promise<void> {
    try {
      await this.ensureConsumer(consumer);
    } catch {
      await this.ensureStreams();
      await this.ensureConsumer(consumer);
    }
  }

  /**
   * Makes sure that the durable exists as wanted.
   * @returns when it was created, in milliseconds since the epoch by the server's clock, and the lease that workers have
   * @throws LoopstackError TOPOLOGY_CONFLICT, TOPOLOGY_MISSING
   */
  async ensureConsumer(consumer: DesiredConsumer): Promise<EnsuredConsumer> {
    const stream = this.#options.names.streams.runs;
    const name = durableOf(this.#options.names, consumer);
    const existing = await this.#api.findConsumer(stream, name);
    const isNew = existing === undefined && this.#options.provision;
    // One that was deleted under a worker is made anew without what lanes take by now.
    const wanted = isNew && consumer.priorities.length > 1 && (await this.#laneExists(consumer.address)) ? normalOf(consumer) : consumer;
    const leaseMs = existing ? leaseToKeep(wanted.leaseMs, existing) : wanted.leaseMs;
    if (leaseMs !== wanted.leaseMs) this.#tellOfLongerLease(name, leaseMs, wanted.leaseMs);
    const config = desiredConsumer(this.#options.names, { ...wanted, leaseMs }, existing?.config);
    const differing =
      existing &&
      drift(
        existing.config,
        config,
        CONSUMER_FIELDS.filter((f) => config[f] !== undefined),
      );
    if (existing && differing?.length === 0) return ensured(existing);
    const field = differing?.[0];
    if (!this.#options.provision) {
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
      const made = await this.#api.createConsumer(stream, config);
      if (differing) this.#logger.log(`Updated consumer ${name}: ${differing.join(', ')}`);
      return ensured(made);
    } catch (error) {
      // Another worker was first, with another place.
      if (!existing && (await this.#api.findConsumer(stream, name))) return this.ensureConsumer(consumer);
      if (field === undefined || unanswered(error)) throw error;
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
