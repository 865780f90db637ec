import { ERR_CODE, JetStreamApiError, hasOtherServers, mayReconnect, reconnectElsewhere, type PullTarget } from '@loopstack/jetstream';
import { leaseOf } from '@loopstack/operations';
import { monotonicMs } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { Topology } from '../topology/topology.js';
import type { ConsumerRuntime } from './consumer-runtime.js';

/** How long JetStream may leave a question unanswered, and a server its consumers unrestored before another server is tried. */
const PROBE_MS = 2000;
const FAILOVER_AFTER_MS = 3000;
/** Between attempts to learn what a durable may have forgotten, and to repair the streams. */
const REPEAT_STATE_MS = 1000;
const REPAIR_AGAIN_MS = 1000;

/** A consumer that gets no answer, and how it is made sure of. */
export interface LostConsumer {
  /** For people. */
  readonly title: string;
  readonly target: PullTarget;
  readonly reason: string;
  /** False: this user may not ask for the state of the durable. */
  readonly mayProbe?: boolean;
  /** Makes sure that the durable exists as it is wanted. */
  readonly ensure: () => Promise<unknown>;
}

/** How a durable stands on the server. */
export interface DurableState {
  /** By the server's clock: up to then a stored message may have been delivered without the durable knowing. */
  readonly untilMs: number;
  readonly leaseMs: number;
}

/** Restores consumers and streams that are gone, and leaves a server that does not answer. An alarm tells of each while it lasts. */
export class ConsumerGuard {
  readonly #logger = new Logger('Consumers');
  readonly #runtime: ConsumerRuntime;
  readonly #topology: Topology;
  #repairing = false;
  /** When the consumers that are being restored began to fail. */
  #failingSinceMs: number | undefined;

  constructor(runtime: ConsumerRuntime, topology: Topology) {
    this.#runtime = runtime;
    this.#topology = topology;
    runtime.onReconnect(() => (this.#failingSinceMs = undefined));
  }

  /** One attempt. @returns whether the consumer can be pulled from again */
  async restore({ title, target, reason, mayProbe = true, ensure }: LostConsumer): Promise<boolean> {
    const { nc, api, alarms, connection } = this.#runtime;
    if (nc.isClosed()) return false;
    const alarm = `consumer:${target.durable}`;
    const beganAtMs = monotonicMs();
    try {
      if (mayProbe) await api.probe(target.stream, target.durable, PROBE_MS);
      await ensure();
      this.#failingSinceMs = undefined;
      alarms.clear(alarm);
      this.#logger.warn(`${title} is pulled from again (${reason})`);
      return true;
    } catch (error) {
      // What was asked over an old connection says nothing of the new one.
      if (connection !== this.#runtime.connection) return false;
      alarms.raise(alarm, `${title} is not consumed: ${(error as Error).message}`);
      // A stream of events that is gone is gone at every server.
      if (!(error instanceof JetStreamApiError) || error.errCode === ERR_CODE.STREAM_NOT_FOUND) return false;
      this.#failingSinceMs ??= beganAtMs;
      if (monotonicMs() - this.#failingSinceMs > FAILOVER_AFTER_MS) void this.leaveServer();
      return false;
    }
  }

  /** How a durable stands; undefined where this process stops before it is known. */
  async stateOf({ stream, durable }: PullTarget): Promise<DurableState | undefined> {
    const { nc, api } = this.#runtime;
    for (;;) {
      try {
        const [{ state }, { created, config }] = await Promise.all([api.streamInfo(stream), api.consumerInfo(stream, durable)]);
        return { untilMs: Math.max(Date.parse(state.last_ts), Date.parse(created)), leaseMs: leaseOf(config) };
      } catch {
        if (!this.#runtime.running || nc.isClosed()) return undefined;
        await new Promise((resolve) => setTimeout(resolve, REPEAT_STATE_MS));
      }
    }
  }

  /** A stream that is written to is gone or does not answer: asks until it is there. */
  async repairStreams(): Promise<void> {
    if (this.#repairing) return;
    this.#repairing = true;
    const { nc, alarms } = this.#runtime;
    while (this.#runtime.running && !nc.isClosed()) {
      try {
        await this.#topology.ensureStreams();
        alarms.clear('streams');
        break;
      } catch (error) {
        alarms.raise('streams', `runs cannot be recorded: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, REPAIR_AGAIN_MS));
      }
    }
    this.#repairing = false;
  }

  /** A server that is cut off from the others still talks to its clients: it is left for another one. A connection that is dead is made anew. */
  async leaveServer(): Promise<void> {
    this.#failingSinceMs = undefined;
    const { nc, options } = this.#runtime;
    // One that the application made itself stays where it is, as long as it is alive.
    const stays = options.connection !== undefined || !hasOtherServers(nc);
    if (!this.#runtime.connected || !mayReconnect(nc) || (stays && (await this.#runtime.flushed()))) return;
    this.#logger.warn(`JetStream does not answer at ${nc.getServer()}; the connection is made anew`);
    await reconnectElsewhere(nc);
  }
}
