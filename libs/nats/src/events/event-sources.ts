import { describeStart, type StartFrom, type DesiredEventConsumer } from '@loopstack/core';
import { DURABLE_METADATA, LoopstackError, filterCovers } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { ERR_CODE, JetStreamApiError, type Config, type ConsumerInfo, type JetStreamApi } from '@loopstack/jetstream';
import { drift } from '@loopstack/operations';
import type { ResolvedNatsOptions } from '../options.js';

const NS = 1_000_000;
/** Between the updates of two services that extend the inbound stream at once, each may find the other's. */
const INBOUND_TRIES = 10;
const SETTLE_MS = 200;

/** Where a new consumer begins, in the server's words. Pure. */
export function startConfig(from: StartFrom): Config {
  if (from === 'now') return { deliver_policy: 'new' };
  if (from === 'all') return { deliver_policy: 'all' };
  if (from instanceof Date) return { deliver_policy: 'by_start_time', opt_start_time: from.toISOString() };
  return { deliver_policy: 'by_start_sequence', opt_start_seq: from };
}

/** Where a consumer stands: nothing before it is to be delivered any more. Pure. */
export function positionOf(info: ConsumerInfo, from: StartFrom): StartFrom {
  if (info.ack_floor.stream_seq > 0) return info.ack_floor.stream_seq + 1;
  return from === 'now' ? new Date(info.created) : from;
}

export function eventConsumerConfig(
  { durable, kind, subject, from, leaseMs, labels }: DesiredEventConsumer,
  resumeAt?: StartFrom,
): Config & { readonly durable_name: string } {
  return {
    durable_name: durable,
    ack_policy: 'explicit',
    replay_policy: 'instant',
    ...startConfig(resumeAt ?? from),
    filter_subject: subject,
    ack_wait: leaseMs * NS,
    max_deliver: -1,
    max_ack_pending: -1,
    metadata: {
      ...labels,
      [DURABLE_METADATA.KIND]: kind,
      [DURABLE_METADATA.SUBJECT]: subject,
      [DURABLE_METADATA.FROM]: describeStart(from),
    },
  };
}

/** What may differ in a durable that exists, and is then updated. */
const UPDATABLE = ['filter_subject', 'ack_wait', 'max_deliver', 'max_ack_pending'] as const;

/** The captures of a stream with one more; those that it covers are left out. */
export function withSubject(subjects: readonly string[], subject: string): readonly string[] {
  if (subjects.some((existing) => filterCovers(existing, subject))) return subjects;
  return [...subjects.filter((existing) => !filterCovers(subject, existing)), subject];
}

/** Finds the streams that hold events, and makes durables on them. Safe in any number of processes at once. */
export class EventSources {
  readonly #api: JetStreamApi;
  readonly #options: ResolvedNatsOptions;
  readonly #logger = new Logger(EventSources.name);

  constructor(api: JetStreamApi, options: ResolvedNatsOptions) {
    this.#api = api;
    this.#options = options;
  }

  /**
   * The stream that holds the events of a subject.
   * @param binding for people
   * @throws LoopstackError STREAM_MISSING, STREAM_AMBIGUOUS, TOPOLOGY_MISSING
   */
  async streamOf(binding: string, subject: string, named: string | undefined): Promise<string> {
    if (named !== undefined) {
      if (!(await this.#api.findStream(named))) throw new LoopstackError('TOPOLOGY_MISSING', { kind: 'Stream', name: named });
      return named;
    }
    const { inbound } = this.#options.names;
    const { streams } = await this.#api.read<{ streams: string[] | null }>('STREAM.NAMES', { subject });
    const names = streams ?? [];
    if (names.length > 1) throw new LoopstackError('STREAM_AMBIGUOUS', { binding, subject, streams: names.join(' and ') });
    if (names.length === 1 && names[0] !== inbound) return names[0] as string;
    if (this.#options.inbound === undefined || !this.#options.provision) {
      if (names.length === 1) return inbound;
      throw new LoopstackError('STREAM_MISSING', { binding, subject });
    }
    await this.#ensureInbound(subject);
    return inbound;
  }

  /** Makes sure of a durable. @throws LoopstackError BINDING_START_FIXED, TOPOLOGY_MISSING */
  async ensure(desired: DesiredEventConsumer, resumeAt?: StartFrom): Promise<ConsumerInfo> {
    const { stream, durable } = desired;
    const config = eventConsumerConfig(desired, resumeAt);
    const existing = await this.#api.findConsumer(stream, durable);
    if (!existing) {
      if (!this.#options.provision) throw new LoopstackError('TOPOLOGY_MISSING', { kind: `Consumer of stream ${stream}`, name: durable });
      return this.#api.createConsumer(stream, config);
    }
    const wanted = describeStart(desired.from);
    const actual = (existing.config['metadata'] as Record<string, string> | undefined)?.[DURABLE_METADATA.FROM] ?? wanted;
    if (actual !== wanted) throw new LoopstackError('BINDING_START_FIXED', { binding: durable, stream, actual, desired: wanted });
    const differing = drift(existing.config, config, UPDATABLE);
    if (differing.length === 0 || !this.#options.provision) return existing;
    this.#logger.log(`Updating consumer ${durable} of ${stream}: ${differing.join(', ')}`);
    const metadata = { ...(existing.config['metadata'] as object | undefined), ...(config['metadata'] as object) };
    const changes = Object.fromEntries(differing.map((field) => [field, config[field]]));
    return this.#api.createConsumer(stream, { ...existing.config, ...changes, metadata, durable_name: durable });
  }

  async #ensureInbound(subject: string): Promise<void> {
    const { inbound: name } = this.#options.names;
    const { subjects: fixed = [], maxAgeMs, maxBytes } = this.#options.inbound ?? { maxAgeMs: 0, maxBytes: undefined };
    const limits = { max_age: maxAgeMs * NS, ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }) };
    const wanted = [...fixed, subject];
    for (let tries = 1; ; tries++) {
      const info = await this.#api.findStream(name);
      const captured = (info?.config['subjects'] as string[] | undefined) ?? [];
      const subjects = wanted.reduce(withSubject, captured as readonly string[]);
      if (info && subjects === captured) return;
      try {
        if (info) await this.#api.request(`STREAM.UPDATE.${name}`, { ...info.config, subjects });
        else {
          const { storage, replicas = 1 } = this.#options;
          const config = {
            name,
            subjects,
            storage,
            num_replicas: replicas,
            retention: 'limits',
            discard: 'old',
            allow_direct: true,
            ...limits,
          };
          await this.#api.request(`STREAM.CREATE.${name}`, config);
        }
        this.#logger.log(`Stream ${name} captures ${subjects.join(', ')}`);
        // An update is no compare and set: another service may have read before and writes after. It is looked at again.
        await delay(SETTLE_MS);
      } catch (error) {
        if (!(error instanceof JetStreamApiError) || error.errCode === 0 || tries === INBOUND_TRIES) throw error;
        if (error.errCode !== ERR_CODE.STREAM_NAME_IN_USE) {
          const reason = `${error.message}; choose what it captures: inbound: { subjects: […] }`;
          throw new LoopstackError('BOOT_FAILED', { problems: `stream ${name} cannot capture ${subject}: ${reason}` }, { cause: error });
        }
      }
    }
  }
}
