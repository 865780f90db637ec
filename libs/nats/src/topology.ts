import { Logger } from '@nestjs/common';
import { LoopstackError } from '@loopstack/shared';
import {
  CONSUMER_FIELDS,
  ServerVersion,
  desiredConsumer,
  desiredStreams,
  drift,
  type DesiredConsumer,
  type DesiredStream,
} from './desired-topology.js';
import { API, JetStreamApiError, type JetStreamApi, type StreamInfo } from './jetstream-api.js';
import type { ResolvedNatsOptions } from './options.js';

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
