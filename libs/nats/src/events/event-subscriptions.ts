import {
  AckWriter,
  followConnection,
  isUnavailable,
  type Publisher,
  type JetStreamApi,
  type NatsConnectionLike,
  type NatsSubscription,
} from '@loopstack/jetstream';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import type { BindingInfo, Bindings } from '@loopstack/operations';
import {
  type Reaction,
  type StartFrom,
  type Subscriptions,
  bindingFeed,
  chainFeed,
  reactionFeed,
  type EventFeed,
  type SubscriptionSpec,
  feedOf,
} from '@loopstack/core';
import { LoopstackError, monotonicMs, type DurableKind } from '@loopstack/shared';
import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { DeadLetterWriter } from '../worker/dead-letter-writer.js';
import type { Alarms } from '../health/health.js';
import type { ResolvedNatsOptions } from '../options.js';
import { logPause } from '../upkeep/log-pause.js';
import { EventConsumer, type EventFeedSupport } from './event-consumer.js';
import { handlerFeeds, type AroundHandler } from './event-handlers.js';
import { EventSources, positionOf } from './event-sources.js';
import { LiveReaction } from './live-reaction.js';
import { serveRedrives } from './redrive.js';
import { CommandStarter } from './run-starter.js';

const TICK_MS = 100;
const PULL_EXPIRES_MS = 30_000;
/** Between looks at the bindings of the server. */
const LOOK_MS = 60_000;

/** How a feed stands; what health reads. */
export interface FeedState {
  readonly title: string;
  readonly active: number;
  readonly pending: number;
  /** The consumer answers. */
  readonly consuming: boolean;
  /** Until when somebody has paused it. */
  readonly pausedUntil: string | undefined;
}

/**
 * Consumes the events that this process listens to: bindings, chains and handlers of Nest from when it works, methods
 * with `@OnRun` from when the application has started, also in a process that is no worker.
 */
export class EventSubscriptions implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(EventSubscriptions.name);
  readonly #sources: EventSources;
  readonly #consumers: EventConsumer[] = [];
  readonly #live: LiveReaction[] = [];
  readonly #redrives: NatsSubscription[] = [];
  readonly #starter: CommandStarter;
  readonly #answers: AckWriter;
  readonly #deadLetters: DeadLetterWriter;
  #tick: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  /** Of bindings that this process would declare if anybody did. */
  readonly #kinds = new Set<DurableKind>();
  #tickedAtMs = 0;
  #connected = true;
  #stopped: Promise<void> | undefined;
  /** Bindings on the server that this process would know of, and that nobody declares. */
  #unused: readonly string[] = [];

  constructor(
    private readonly nc: NatsConnectionLike,
    private readonly api: JetStreamApi,
    private readonly options: ResolvedNatsOptions,
    publisher: Publisher,
    private readonly alarms: Alarms,
    private readonly subscriptions: Subscriptions,
    private readonly bindings: Bindings,
  ) {
    this.#sources = new EventSources(api, options);
    this.#starter = new CommandStarter(publisher, options.names, options.sign, api, subscriptions.maxCauseDepth);
    this.#answers = new AckWriter(nc);
    this.#deadLetters = new DeadLetterWriter(nc, publisher, options.names);
  }

  /** @throws LoopstackError BOOT_FAILED */
  async onApplicationBootstrap(): Promise<void> {
    const { roles, serves } = this.options;
    if (!roles.has('worker')) return;
    const reactions = this.subscriptions.reactions().filter(({ workspace }) => workspace === '*' || serves(workspace));
    const durable = reactions.filter(({ delivery }) => delivery === 'durable');
    const start = await this.#prepare(
      durable.map((reaction) => reactionFeed(this.options.names, this.subscriptions.service as string, reaction)),
    );
    start();
    for (const reaction of reactions) if (reaction.delivery === 'live') await this.#startLive(reaction);
    if (this.subscriptions.service !== undefined) this.#lookAtBindings('run');
  }

  /**
   * Bindings and chains of the workflows of this process, and Nest's event handlers.
   * @returns what begins to pull
   * @throws LoopstackError BOOT_FAILED
   */
  async prepareWorker(handlers: ReadonlyMap<string, MessageHandler>, around: AroundHandler): Promise<() => void> {
    const { names, serves } = this.options;
    const { maxDepth, service } = this.subscriptions;
    const start = await this.#prepare([
      ...this.subscriptions
        .bindings()
        .filter(({ entry }) => serves(entry.workspace))
        .map((binding) => bindingFeed(names, this.#starter, maxDepth, binding)),
      ...this.subscriptions
        .chains()
        .filter(({ upstream }) => serves(upstream.workspace))
        .map((chain) => chainFeed(names, this.#starter, maxDepth, chain)),
      ...handlerFeeds(names, service, maxDepth, handlers, around),
    ]);
    return () => {
      start();
      this.#lookAtBindings('run', 'on', 'then', 'event');
    };
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** Stops pulling and lets what is under way finish within the grace period. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  state(): { readonly feeds: readonly FeedState[]; readonly unused: readonly string[] } {
    const silentMs = 5 * this.options.heartbeatMs;
    const now = monotonicMs();
    const feeds = [...this.#consumers, ...this.#live].map(({ loop, title, active, pending, pausedUntil }) => ({
      title,
      active,
      pending,
      pausedUntil,
      consuming: !loop.restoring && (loop.outstanding === 0 || now - loop.heardAtMs < silentMs),
    }));
    return { feeds, unused: this.#unused };
  }

  /** Makes the durables of all, or tells what is wrong with each; nothing is pulled before the returned function is called. */
  async #prepare(plans: readonly SubscriptionSpec[]): Promise<() => void> {
    const starting = (): boolean => this.#stopped === undefined;
    const problems: string[] = [];
    const consumers: EventConsumer[] = [];
    for (const plan of plans) {
      try {
        consumers.push(await retryUntilLeader(() => this.#consumerOf(plan), starting));
      } catch (error) {
        const { message, fix } = error as { message: string; fix?: string };
        problems.push(fix === undefined ? `${plan.title}: ${message}` : `${message}. ${fix}`);
        // What JetStream does not answer for one it does not for the next: each would be waited for as long.
        if (isUnavailable(error) || !starting()) break;
      }
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    return () => {
      if (this.#stopped) return;
      for (const consumer of consumers) this.#consume(consumer);
      this.#startTicking();
    };
  }

  async #consumerOf(plan: SubscriptionSpec): Promise<EventConsumer> {
    const { subject } = plan.consumer;
    const stream = await this.#sources.streamOf(plan.title, subject, plan.stream);
    const feed = feedOf(this.options.names, plan, stream, this.subscriptions.redactor);
    const startedAt = positionOf(await this.#sources.ensure(feed.consumer), feed.consumer.from);
    const support: EventFeedSupport = {
      pull: this.#pull,
      answers: this.#answers,
      alarms: this.alarms,
      deadLetters: this.#deadLetters,
      clock: this.api.clock,
      restore: (lost, resumeAt) => this.#restore(lost, resumeAt),
    };
    return new EventConsumer(this.nc, feed, support, startedAt);
  }

  #consume(consumer: EventConsumer): void {
    const { feed } = consumer;
    this.#consumers.push(consumer);
    if (feed.policy.afterwards === 'dead') this.#redrives.push(serveRedrives(this.nc, this.api, this.options.names, feed));
    consumer.loop.start();
    this.#logger.log(`${feed.title} (stream ${feed.consumer.stream})`);
  }

  async #startLive(reaction: Reaction): Promise<void> {
    const { redactor } = this.subscriptions;
    const live = new LiveReaction(this.nc, this.api, this.options.names, this.#pull, reaction, this.alarms, redactor);
    if (this.#stopped) return;
    await retryUntilLeader(
      () => live.start(),
      () => this.#stopped === undefined,
    );
    // Stopped meanwhile, by somebody who did not know of it.
    if (this.#stopped) return live.stop(Promise.resolve());
    this.#live.push(live);
    this.#startTicking();
  }

  get #pull(): { apiPrefix: string; heartbeatMs: number; expiresMs: number } {
    return { apiPrefix: this.api.prefix, heartbeatMs: this.options.heartbeatMs, expiresMs: PULL_EXPIRES_MS };
  }

  async #restore({ title, consumer }: EventFeed, resumeAt: StartFrom): Promise<boolean> {
    const alarm = `consumer:${consumer.durable}`;
    if (this.nc.isClosed()) return false;
    try {
      await this.#sources.ensure(consumer, resumeAt);
      this.alarms.clear(alarm);
      return true;
    } catch (error) {
      this.alarms.raise(alarm, `${title} is not consumed: ${(error as Error).message}`);
      return false;
    }
  }

  #startTicking(): void {
    if (this.#tick || this.#consumers.length + this.#live.length === 0) return;
    this.#tickedAtMs = monotonicMs();
    this.#tick = setInterval(() => this.#ticked(), TICK_MS);
    this.#watch();
  }

  #ticked(): void {
    const now = monotonicMs();
    const late = now - this.#tickedAtMs > TICK_MS + this.options.heartbeatMs;
    this.#tickedAtMs = now;
    for (const consumer of this.#consumers) consumer.tick(now, this.#connected, late);
    for (const live of this.#live) live.loop.check(now, late);
  }

  #watch(): void {
    followConnection(this.nc, {
      disconnected: () => (this.#connected = false),
      reconnected: () => {
        this.#connected = true;
        for (const { loop } of [...this.#consumers, ...this.#live]) loop.reconnected();
      },
    });
  }

  /**
   * Looks now and then at its bindings, and for those that this process would declare if anybody did: of `kinds`, beside those said
   * before. A worker beside an HTTP server starts before the application does.
   */
  #lookAtBindings(...kinds: DurableKind[]): void {
    clearInterval(this.#look);
    for (const kind of kinds) this.#kinds.add(kind);
    // Who may not make streams may not list them either.
    if (!this.options.provision || this.#stopped) return;
    const look = async (): Promise<void> => {
      try {
        const found = await this.bindings.list();
        this.#reportPaused(found);
        this.#reportUnused(found);
      } catch (error) {
        this.#logger.debug(`Bindings could not be looked at: ${(error as Error).message}`);
      }
    };
    void look();
    this.#look = setInterval(() => void look(), LOOK_MS).unref();
  }

  #reportPaused(found: readonly BindingInfo[]): void {
    for (const consumer of this.#consumers) {
      const target = consumer.feed.consumer;
      const until = found.find(({ durable, stream }) => durable === target.durable && stream === target.stream)?.pausedUntil;
      if (until === consumer.pausedUntil) continue;
      consumer.pausedUntil = until;
      logPause(this.#logger, target, until);
    }
  }

  /** Of its workflows and its service, that is; one that is still consumed is declared by an older replica. */
  #reportUnused(found: readonly BindingInfo[]): void {
    const declared = new Set(this.#consumers.map(({ feed }) => `${feed.consumer.stream} ${feed.consumer.durable}`));
    const unused = found.filter(({ stream, durable, kind, consumed, workspace = '', workflow = '', service }) => {
      if (declared.has(`${stream} ${durable}`) || consumed || !this.#kinds.has(kind)) return false;
      return service === undefined ? this.subscriptions.has(workspace, workflow) : service === this.subscriptions.service;
    });
    for (const { durable, stream, pending } of unused) {
      if (this.#unused.includes(durable)) continue;
      const remedy = `loopstack bindings remove '${durable}' --stream '${stream}' ends it`;
      this.#logger.warn(`Nothing declares the binding ${durable} any more; ${pending} events of ${stream} wait for it. ${remedy}`);
    }
    this.#unused = unused.map(({ durable }) => durable);
  }

  async #stop(): Promise<void> {
    clearInterval(this.#look);
    for (const subscription of this.#redrives) if (!this.nc.isClosed()) subscription.unsubscribe();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.options.shutdownGraceMs)));
    await Promise.all([...this.#consumers.map((consumer) => consumer.stop(deadline)), ...this.#live.map((live) => live.stop(deadline))]);
    this.#answers.flush();
    clearTimeout(timer);
    clearInterval(this.#tick);
  }
}
