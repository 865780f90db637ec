import { LoopstackClient } from '@loopstack/client';
import type { LoopstackOptions } from '@loopstack/core';
import type { NatsOptions } from '@loopstack/nats';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import type { INestMicroservice, LogLevel, LoggerService, Type } from '@nestjs/common';
import { connect, type ConnectionOptions, type NatsConnection } from 'nats';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp } from './app.js';
import { HttpWorker } from './http-worker.js';
import { Proxy } from './proxy.js';

export type ServerOptions = NonNullable<Parameters<typeof startNatsServer>[0]>;

/** What ends first comes first: applications and processes use connections, and both use servers. */
const LEVELS = ['users', 'connections', 'servers', 'files'] as const;
type Level = (typeof LEVELS)[number];

interface Started {
  readonly level: Level;
  readonly thing: unknown;
  readonly end: () => unknown;
}

/** Starts what tests need, and ends all of it, also when a set-up has failed halfway. */
export class Harness {
  #started: Started[] = [];
  /** Counts calls of `end()`: what starts during one call and is ready after it is ended at once. */
  #ends = 0;
  #server: NatsServer | undefined;
  #url = '';

  /** The server that was started last. */
  get server(): NatsServer {
    if (!this.#server) throw new Error('no server was started');
    return this.#server;
  }

  /** Of the server or cluster that was started last. */
  get url(): string {
    return this.#url;
  }

  async startServer(options?: ServerOptions): Promise<NatsServer> {
    this.#server = await this.track('servers', startNatsServer(options), (server) => server.stop());
    this.#url = this.#server.url;
    return this.#server;
  }

  async startCluster<T extends { readonly url: string; stop(): unknown }>(starting: Promise<T>): Promise<T> {
    const cluster = await this.track('servers', starting, (started) => started.stop());
    this.#url = cluster.url;
    return cluster;
  }

  /** A connection to the server; it reconnects fast and forever. */
  connect(options: ConnectionOptions = {}): Promise<NatsConnection> {
    const reconnects = { maxReconnectAttempts: -1, reconnectTimeWait: 50 };
    return this.track('connections', connect({ servers: this.url.split(','), ...reconnects, ...options }), (nc) => nc.close());
  }

  /** A proxy in front of the server. */
  startProxy(): Promise<Proxy> {
    return this.track('servers', Proxy.start(this.url), (proxy) => proxy.stop());
  }

  /** A producer, on a connection of its own. */
  connectClient(options: Parameters<typeof LoopstackClient.connect>[0] = {}): Promise<LoopstackClient> {
    return this.track('users', LoopstackClient.connect({ servers: this.url.split(','), ...options }), (client) => client.close());
  }

  /** A worker in this process, see `startApp`. */
  startApp(
    providers: readonly Type<object>[],
    nats: NatsOptions = {},
    loopstack?: LoopstackOptions,
    logger?: LoggerService | LogLevel[],
  ): Promise<INestMicroservice> {
    return this.track('users', startApp(providers, { servers: this.url, ...nats }, loopstack, logger), (app) => app.close());
  }

  /** The built worker with its HTTP side, as a process of its own. */
  startHttpWorker(env: Record<string, string> = {}, main?: string): Promise<HttpWorker> {
    return this.track('users', HttpWorker.start({ NATS_URL: this.url, ...env }, main), (worker) => worker.stop('SIGKILL'));
  }

  /** A folder that is removed in the end. */
  makeFolder(name: string): Promise<string> {
    return this.track('files', mkdtemp(join(tmpdir(), `loopstack-${name}-`)), (path) => rm(path, { recursive: true, force: true }));
  }

  /** Closes in the end what tests have opened themselves. */
  closeAtEnd<T extends { close(): unknown }>(thing: T, level: Level = 'users'): T {
    this.#started.push({ level, thing, end: () => thing.close() });
    return thing;
  }

  /** Ends `starting` in the end, or at once when that was before it is ready. */
  async track<T>(level: Level, starting: Promise<T>, end: (thing: T) => unknown): Promise<T> {
    const ends = this.#ends;
    const thing = await starting;
    if (ends === this.#ends) {
      this.#started.push({ level, thing, end: () => end(thing) });
      return thing;
    }
    await end(thing);
    throw new Error('the tests have ended meanwhile');
  }

  /** Ends one thing now. */
  async stop(thing: unknown): Promise<void> {
    const ended = this.#started.filter((one) => one.thing === thing);
    this.#started = this.#started.filter((one) => one.thing !== thing);
    for (const { end } of ended) await end();
  }

  /** The harness, once `work` has set it up. It ends when that fails. */
  protected async after(work: Promise<unknown>): Promise<this> {
    try {
      await work;
      return this;
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  /** Ends everything, whatever else fails to end. */
  async end(): Promise<void> {
    this.#ends++;
    const started = this.#started.splice(0);
    const failures: unknown[] = [];
    for (const level of LEVELS) {
      const ends = started.filter((one) => one.level === level).map(async ({ end }) => end());
      for (const result of await Promise.allSettled(ends)) if (result.status === 'rejected') failures.push(result.reason);
    }
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'several did not end');
  }
}

/** One for all tests of the file or of the `describe` that calls for it, or one for each. */
export type Per = 'all' | 'each';

/** A harness for the tests of the file or of the `describe` that calls this. */
export function harness(per: Per = 'all'): Harness {
  return using(per, new Harness());
}

/** Sets a harness up with `begin` before tests, and ends it after them. */
export function using<T extends Harness>(per: Per, rig: T, begin?: () => Promise<unknown>): T {
  const [before, after] = per === 'all' ? [beforeAll, afterAll] : [beforeEach, afterEach];
  if (begin) before(begin);
  after(() => rig.end());
  return rig;
}
