import { framesOf, reasonOf, runNotice, type Reaction, type Redactor } from '@loopstack/core';
import { deliveryFacts, replyOf, type Config, type NatsMessage, type PullLoop, type PullTarget } from '@loopstack/jetstream';
import { LoopstackError, decodeRunEvent } from '@loopstack/shared';
import { nuid } from 'nats';
import type { ConsumerGuard } from '../consume/consumer-guard.js';
import type { Consumer, ConsumerRuntime, Stoppable } from '../consume/consumer-runtime.js';
import { BoundedLogger } from '../upkeep/bounded-logger.js';
import type { EventServices } from './event-consumer.js';

/** The server forgets the consumer of a process that has ended after this. */
const FORGOTTEN_AFTER_NS = 30_000_000_000;
const WINDOW = 256;

/**
 * A method that is called in each process for what happens to runs while it runs. Not by a plain subscription: that
 * would also see outcomes that the stream has refused because another one stands.
 */
export class LiveReaction implements Consumer, Stoppable {
  readonly loop: PullLoop;
  readonly title: string;
  readonly pending = 0;
  /** No one else knows of its consumer. */
  readonly pausedUntil = undefined;
  readonly #target: PullTarget;
  readonly #logger: BoundedLogger;
  readonly #reaction: Reaction;
  readonly #redactor: Redactor | undefined;
  readonly #runtime: ConsumerRuntime;
  readonly #guard: ConsumerGuard;
  #active = 0;
  #lastSequence = 0;
  #whenIdle: (() => void) | undefined;

  constructor(reaction: Reaction, redactor: Redactor | undefined, { runtime, guard }: Pick<EventServices, 'runtime' | 'guard'>) {
    this.title = `@OnRun ${reaction.name} (live)`;
    this.#target = { stream: runtime.options.names.streams.events, durable: nuid.next() };
    this.#logger = new BoundedLogger(this.title);
    this.#reaction = reaction;
    this.#redactor = redactor;
    this.#runtime = runtime;
    this.#guard = guard;
    this.loop = runtime.pullLoop(this.#target, this);
  }

  /** Calls under way. */
  get active(): number {
    return this.#active;
  }

  /** Makes its consumer, which is not pulled from yet. */
  async create(): Promise<void> {
    await this.#create({ deliver_policy: 'new' });
  }

  room(outstanding: number): number {
    return WINDOW - this.#active - outstanding;
  }

  message(msg: NatsMessage): void {
    this.#lastSequence = deliveryFacts(replyOf(msg)).sequence || this.#lastSequence;
    const address = this.#runtime.options.names.parseEvent(msg.subject);
    const event = address && decodeRunEvent(msg.data);
    if (address && event && this.#reaction.types.has(event.type)) void this.#call(address, address.runId, event);
    else this.loop.pull();
  }

  restore(reason: string): Promise<boolean> {
    const start: Config =
      this.#lastSequence > 0 ? { deliver_policy: 'by_start_sequence', opt_start_seq: this.#lastSequence + 1 } : { deliver_policy: 'new' };
    return this.#guard.restore({ title: this.title, target: this.#target, reason, mayProbe: false, ensure: () => this.#create(start) });
  }

  /** It sees each event once, or not at all: nothing is delivered again. */
  uncertain(): void {}

  /** Holds no leases. */
  tick(): void {}

  async stop(deadline: Promise<void>): Promise<void> {
    await this.loop.stop();
    if (this.#active > 0) await Promise.race([deadline, new Promise<void>((resolve) => (this.#whenIdle = resolve))]);
    const { stream, durable } = this.#target;
    await this.#runtime.api.request(`CONSUMER.DELETE.${stream}.${durable}`).catch(() => undefined);
  }

  async #call(...[address, runId, event]: Parameters<typeof runNotice>): Promise<void> {
    this.#active++;
    try {
      await this.#reaction.call(runNotice(address, runId, event));
    } catch (cause) {
      const error = new LoopstackError('HANDLER_FAILED', { workflow: this.title, reason: reasonOf(cause) }, { cause });
      const { message } = this.#redactor?.error(error, undefined, { ...address, runId }) ?? error;
      this.#logger.error(`${event.type} of run ${runId}: ${message}`, framesOf(cause));
    }
    if (--this.#active === 0) this.#whenIdle?.();
    this.loop.pull();
  }

  async #create(start: Config): Promise<void> {
    const { stream, durable } = this.#target;
    const { workspace, workflow } = this.#reaction;
    const config = {
      name: durable,
      ack_policy: 'none',
      replay_policy: 'instant',
      ...start,
      filter_subject: this.#runtime.options.names.event({ workspace, workflow }, '*'),
      inactive_threshold: FORGOTTEN_AFTER_NS,
      mem_storage: true,
      num_replicas: 1,
    };
    await this.#runtime.api.request(`CONSUMER.CREATE.${stream}.${durable}`, { stream_name: stream, config });
  }
}
