import {
  AckWriter,
  PullLoop,
  followConnection,
  type JetStreamApi,
  type NatsConnectionLike,
  type PullOwner,
  type PullTarget,
} from '@loopstack/jetstream';
import { monotonicMs } from '@loopstack/shared';
import type { OnApplicationShutdown } from '@nestjs/common';
import type { Alarms } from '../health/health.js';
import type { ResolvedNatsOptions } from '../options.js';
import { Ticker, type TickListener } from './ticker.js';

/** A pull that waits is made anew after this; its death is seen by its heartbeat long before. */
const PULL_EXPIRES_MS = 30_000;
/**
 * A server that was killed has forgotten its last deliveries. After it, workers record first what they have run, and pull nothing for so
 * long: what is delivered again has its outcome in its history then.
 */
const REST_MS = 1000;
/** Heartbeats that a consumer may miss before health says that it does not answer: its pull was made anew twice by then. */
const SILENT_HEARTBEATS = 5;
/** Longest wait for the server to have read the last answers of a worker that stops. */
const FLUSH_MS = 2000;

/** A durable of commands, a durable of events, or the consumer of a live reaction, in this process. */
export interface Consumer extends PullOwner {
  readonly loop: PullLoop;
  /** Renews what it holds, and gives up what it may not hold any longer. Ten times a second. */
  tick(nowMs: number, connected: boolean): void;
}

/** What stops: it pulls no more, lets what is under way finish until the deadline, and gives the rest back. */
export interface Stoppable {
  stop(deadline: Promise<void>): Promise<void>;
}

/** Drives all consumers of this process, those of commands and those of events, for as long as they pull. */
export class ConsumerRuntime implements TickListener, OnApplicationShutdown {
  readonly nc: NatsConnectionLike;
  /** Answers deliveries. */
  readonly acks: AckWriter;
  readonly ticker: Ticker;
  readonly #consumers = new Set<Consumer>();
  readonly #reconnected: (() => void)[] = [];
  readonly #unfollow: () => void;
  #connected = true;
  /** Counts connections. */
  #connection = 0;
  /** Of the last one: every process of a server has its own. */
  #serverId: string | undefined;

  constructor(
    readonly api: JetStreamApi,
    readonly options: ResolvedNatsOptions,
    readonly alarms: Alarms,
  ) {
    const { nc } = api;
    this.nc = nc;
    this.acks = new AckWriter(nc);
    this.ticker = new Ticker(options.heartbeatMs, () => nc.flush());
    this.#serverId = nc.info?.server_id;
    this.#unfollow = followConnection(nc, {
      disconnected: () => (this.#connected = false),
      reconnected: () => this.#reconnect(),
    });
  }

  onApplicationShutdown(): void {
    this.#unfollow();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Another number for each connection. */
  get connection(): number {
    return this.#connection;
  }

  /** Something is consumed. */
  get running(): boolean {
    return this.#consumers.size > 0;
  }

  pullLoop(target: PullTarget, owner: PullOwner): PullLoop {
    return new PullLoop(
      this.nc,
      target,
      { apiPrefix: this.api.prefix, heartbeatMs: this.options.heartbeatMs, expiresMs: PULL_EXPIRES_MS },
      owner,
    );
  }

  /** Begins to pull. */
  start(consumers: readonly Consumer[]): void {
    for (const consumer of consumers) this.#consumers.add(consumer);
    if (this.running) this.ticker.add(this);
    for (const consumer of consumers) consumer.loop.start();
  }

  /** Stops `users` of these consumers within the grace period, and lets go of the consumers. Resolves when all is settled. */
  async stop(consumers: readonly Consumer[], users: readonly Stoppable[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.options.shutdownGraceMs)));
    await Promise.all(users.map((user) => user.stop(deadline)));
    clearTimeout(timer);
    for (const consumer of consumers) this.#consumers.delete(consumer);
    if (!this.running) this.ticker.remove(this);
    this.acks.flush();
  }

  /** Whether the server answers the pulls of a consumer. */
  answers({ loop }: Pick<Consumer, 'loop'>): boolean {
    const silentMs = SILENT_HEARTBEATS * this.options.heartbeatMs;
    return !loop.restoring && (loop.outstanding === 0 || monotonicMs() - loop.heardAtMs < silentMs);
  }

  /** Called after each reconnect. */
  onReconnect(listener: () => void): void {
    this.#reconnected.push(listener);
  }

  /** Whether the server has read all that was written to it; false also while there is none to read. */
  async flushed(): Promise<boolean> {
    if (this.nc.isClosed() || !this.#connected) return false;
    this.acks.flush();
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, FLUSH_MS, false)));
    const answered = await Promise.race([
      this.nc.flush().then(
        () => true,
        () => false,
      ),
      enough,
    ]);
    clearTimeout(timer);
    return answered;
  }

  tick(nowMs: number, late: boolean): void {
    for (const consumer of this.#consumers) {
      consumer.tick(nowMs, this.#connected);
      consumer.loop.check(nowMs, late);
    }
  }

  /** Pulls are asked for anew. A server that was killed has forgotten some of the last deliveries and answers. */
  #reconnect(): void {
    this.#connected = true;
    this.#connection++;
    this.ticker.reconnected();
    const restarted = this.#serverId !== this.nc.info?.server_id;
    this.#serverId = this.nc.info?.server_id;
    for (const consumer of this.#consumers) {
      consumer.uncertain();
      consumer.loop.reconnected(restarted ? REST_MS : 0);
    }
    for (const listener of this.#reconnected) listener();
  }
}
