import { Workers, type WorkflowRunner } from '@loopstack/core';
import { LoopstackError } from '@loopstack/shared';
import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import { CatalogueWriter } from './topology/catalogue-writer.js';
import type { AroundHandler } from './events/event-handlers.js';
import { DeclaredSchedules } from './topology/declared-schedules.js';
import { EventSubscriptions } from './events/event-subscriptions.js';
import { retryUntilLeader } from './topology/retry-until-leader.js';
import type { NatsConnection } from 'nats';
import { followConnection, JetStreamApi, type NatsConnectionLike } from '@loopstack/jetstream';
import type { ResolvedNatsOptions } from './options.js';
import { assertSignatureWindows } from './topology/signature-windows.js';
import { Worker } from './worker/worker.js';

export type JetStreamServerStatus = 'connected' | 'disconnected' | 'closed';
/** Events of the strategy, beside its `status`. */
export interface JetStreamServerEvents extends Record<string, (...args: never[]) => void> {
  error: (error: Error) => void;
  reconnect: () => void;
  disconnect: () => void;
}

/** After the start of an application that registers workflows and consumes nothing. */
const FORGOTTEN_MS = 5000;

const bootFailed = (problems: string): LoopstackError => new LoopstackError('BOOT_FAILED', { problems });

/** The transport strategy: `app.connectMicroservice({ strategy: app.get(JetStreamServer) })`. */
export class JetStreamServer
  extends Server<JetStreamServerEvents, JetStreamServerStatus>
  implements BeforeApplicationShutdown, OnApplicationBootstrap
{
  /** What a handler throws decides about its event, and is logged here. */
  override propagatesEventHandlerErrors = true;
  override transportId = Symbol('loopstack-jetstream');
  #closed = false;
  #listening = false;
  #started: Promise<void> | undefined;
  #forgotten: NodeJS.Timeout | undefined;
  readonly #listeners = new Map<string, ((...args: never[]) => void)[]>();

  constructor(
    private readonly nc: NatsConnectionLike,
    private readonly worker: Worker,
    private readonly workers: Workers,
    private readonly fanOut: EventSubscriptions,
    private readonly catalogue: CatalogueWriter,
    private readonly schedules: DeclaredSchedules,
    private readonly api: JetStreamApi,
    private readonly options: ResolvedNatsOptions,
  ) {
    super();
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    this.#listening = true;
    const { roles, autoStart } = this.options;
    try {
      if (roles.has('worker') && autoStart) await this.start();
      this.#watch();
      this.#say('connected');
      callback();
    } catch (error) {
      callback(error);
    }
  }

  /**
   * Consumes the workflows of this process and what starts them, until `stop()`. The transport does it when it listens, unless
   * `autoStart` is false. Once it has resolved, a second call does nothing.
   * @throws LoopstackError BOOT_FAILED, TOPOLOGY_CONFLICT, TOPOLOGY_MISSING
   */
  async start(): Promise<void> {
    if (this.#closed) throw bootFailed('the worker was stopped, or the application closed: it does not start again in this process');
    await (this.#started ??= this.#start());
  }

  async #start(): Promise<void> {
    if (!this.options.roles.has('worker')) throw bootFailed('this process has no role `worker`');
    const runners = this.#runners();
    const workflows = runners.map(({ entry }) => entry);
    // What can stop the boot comes first: nothing is started, by command, schedule or event, by an application that does not start.
    await this.workers.checkSchedules();
    await retryUntilLeader(
      () => assertSignatureWindows(this.api, this.options, runners),
      () => !this.#closed,
    );
    const startEvents = await this.fanOut.prepareWorker(this.messageHandlers, this.#around);
    this.#goOn();
    await retryUntilLeader(
      () => this.schedules.declare(workflows),
      () => !this.#closed,
    );
    // Whoever sends what this release is the first to accept comes after it. Not behind the first run, which may end the process.
    await this.catalogue.start(runners);
    this.#goOn();
    await this.worker.start(runners, (workspace) => this.workers.trustOf(workspace));
    this.#goOn();
    startEvents();
    void this.schedules.tidy(workflows);
  }

  /** The workflows that this process serves over its connection. @throws LoopstackError BOOT_FAILED */
  #runners(): readonly WorkflowRunner[] {
    const { workspaces = [], serves } = this.options;
    const all = this.workers.runners();
    const unknown = workspaces.filter((workspace) => !all.some(({ entry }) => entry.workspace === workspace));
    if (unknown.length > 0) throw bootFailed(`the option workspaces names ${unknown.join(', ')}, which this process does not register`);
    return all.filter(({ entry }) => serves(entry.workspace));
  }

  /** Workflows that nothing consumes are a mistake that would show itself as a RESULT_TIMEOUT only. */
  onApplicationBootstrap(): void {
    const { roles, autoStart, name } = this.options;
    if (!roles.has('worker') || !autoStart) return;
    this.#forgotten = setTimeout(() => {
      const count = this.workers.runners().length;
      if (this.#listening || this.#started || count === 0) return;
      const server = name === undefined ? 'JetStreamServer' : `natsToken(JetStreamServer, '${name}')`;
      new Logger(JetStreamServer.name).warn(
        `Nothing consumes the ${count} workflows of this process. Call app.connectMicroservice({ strategy: app.get(${server}) }) and app.startAllMicroservices(), or give NatsModule the option roles: ['producer']`,
      );
    }, FORGOTTEN_MS).unref();
  }

  /** Nest has a status of transports since 11. */
  #say(status: JetStreamServerStatus): void {
    (this._status$ as typeof this._status$ | undefined)?.next(status);
  }

  /** What is closed while it starts has stopped already, and nobody would stop what it starts yet. */
  #goOn(): void {
    if (this.#closed) throw bootFailed('the worker was stopped, or the application closed, while it started');
  }

  /** Nest's hooks for tracing, around a call of an event handler; Nest has them since 12.1. */
  readonly #around: AroundHandler = (context, work) =>
    new Promise((resolve, reject) => {
      const isHooked = typeof (this.runWithProcessingHooks as unknown) === 'function';
      if (isHooked) this.runWithProcessingHooks(context, (end) => work().then(resolve, reject).finally(end));
      else work().then(resolve, reject);
    });

  /** Stops pulling, and resolves when what runs has ended, or after `shutdownGrace`. For good: `start()` refuses afterwards. */
  async stop(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#forgotten);
    this.catalogue.stop();
    await Promise.all([this.fanOut.stop(), this.worker.stop()]);
  }

  async close(): Promise<void> {
    await this.stop();
    this.#say('closed');
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.close();
  }

  on<Event extends keyof JetStreamServerEvents>(event: Event, callback: JetStreamServerEvents[Event]): void {
    const name = String(event);
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
  }

  /** The NATS connection: one of `nats`, unless the application gave another one. */
  unwrap<T = NatsConnection>(): T {
    return this.nc as unknown as T;
  }

  #watch(): void {
    followConnection(this.nc, {
      reconnected: () => {
        this.#say('connected');
        this.#emit('reconnect');
      },
      disconnected: () => {
        this.#say('disconnected');
        this.#emit('disconnect');
      },
      failed: (reason) => this.#emit('error', new Error(reason)),
    });
  }

  #emit(event: string, ...args: readonly Error[]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (...given: readonly Error[]) => void)(...args);
  }
}
