import { framesOf, reasonOf, runNotice, type Reaction, type Redactor } from '@loopstack/core';
import { LoopstackError, decodeRunEvent, type WireNames } from '@loopstack/shared';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import { nuid } from 'nats';
import {
  deliveryFacts,
  replyOf,
  PullLoop,
  type NatsConnectionLike,
  type NatsMessage,
  type Config,
  type JetStreamApi,
  type PullOptions,
  type PullOwner,
} from '@loopstack/jetstream';
import type { Alarms } from '../health/health.js';

/** The server forgets the consumer of a process that has ended after this. */
const FORGOTTEN_AFTER_NS = 30_000_000_000;
const WINDOW = 256;

/**
 * A method that is called in each process for what happens to runs while it runs. Not by a plain subscription: that
 * would also see outcomes that the stream has refused because another one stands.
 */
export class LiveReaction implements PullOwner {
  readonly loop: PullLoop;
  readonly title: string;
  readonly #logger: BoundedLogger;
  readonly #name = nuid.next();
  #lastSequence = 0;
  #whenIdle: (() => void) | undefined;
  active = 0;
  readonly pending = 0;
  /** Nobody else knows of its consumer. */
  readonly pausedUntil = undefined;

  constructor(
    nc: NatsConnectionLike,
    private readonly api: JetStreamApi,
    private readonly names: WireNames,
    pull: PullOptions,
    private readonly reaction: Reaction,
    private readonly alarms: Alarms,
    private readonly redactor: Redactor | undefined,
  ) {
    this.title = `@OnRun ${reaction.name} (live)`;
    this.#logger = new BoundedLogger(this.title);
    this.loop = new PullLoop(nc, { stream: names.streams.events, durable: this.#name }, pull, this);
  }

  async start(): Promise<void> {
    await this.#create({ deliver_policy: 'new' });
    this.loop.start();
  }

  room(outstanding: number): number {
    return WINDOW - this.active - outstanding;
  }

  message(msg: NatsMessage): void {
    this.#lastSequence = deliveryFacts(replyOf(msg)).sequence || this.#lastSequence;
    const address = this.names.parseEvent(msg.subject);
    const event = address && decodeRunEvent(msg.data);
    if (address && event && this.reaction.types.has(event.type)) void this.#call(address, address.runId, event);
    else this.loop.pull();
  }

  async restore(reason: string): Promise<boolean> {
    try {
      await this.#create(
        this.#lastSequence > 0 ? { deliver_policy: 'by_start_sequence', opt_start_seq: this.#lastSequence + 1 } : { deliver_policy: 'new' },
      );
      this.alarms.clear(this.title);
      return true;
    } catch (error) {
      this.alarms.raise(this.title, `${this.title} is not called (${reason}): ${(error as Error).message}`);
      return false;
    }
  }

  doubt(): void {}

  async stop(deadline: Promise<void>): Promise<void> {
    await this.loop.stop();
    if (this.active > 0) await Promise.race([deadline, new Promise<void>((resolve) => (this.#whenIdle = resolve))]);
    await this.api.request(`CONSUMER.DELETE.${this.names.streams.events}.${this.#name}`).catch(() => undefined);
  }

  async #call(...[address, runId, event]: Parameters<typeof runNotice>): Promise<void> {
    this.active++;
    try {
      await this.reaction.call(runNotice(address, runId, event));
    } catch (cause) {
      const error = new LoopstackError('HANDLER_FAILED', { workflow: this.title, reason: reasonOf(cause) }, { cause });
      const { message } = this.redactor?.error(error, undefined, { ...address, runId }) ?? error;
      this.#logger.error(`${event.type} of run ${runId}: ${message}`, framesOf(cause));
    }
    if (--this.active === 0) this.#whenIdle?.();
    this.loop.pull();
  }

  async #create(start: Config): Promise<void> {
    const { streams } = this.names;
    const config = {
      name: this.#name,
      ack_policy: 'none',
      replay_policy: 'instant',
      ...start,
      filter_subject: this.names.event({ workspace: this.reaction.workspace, workflow: this.reaction.workflow }, '*'),
      inactive_threshold: FORGOTTEN_AFTER_NS,
      mem_storage: true,
      num_replicas: 1,
    };
    await this.api.request(`CONSUMER.CREATE.${streams.events}.${this.#name}`, { stream_name: streams.events, config });
  }
}
