import { QUORUM_CHECK_MS, QuorumWatch, StorageWatch, type Publisher } from '@loopstack/jetstream';
import { LoopstackError, type RunAddress } from '@loopstack/shared';
import type { ConsumerGuard } from '../consume/consumer-guard.js';
import type { ConsumerRuntime } from '../consume/consumer-runtime.js';
import type { Topology } from '../topology/topology.js';
import type { DeadLetterWriter } from '../worker/outcome/dead-letter-writer.js';
import type { Lane } from '../worker/queue/lane.js';
import type { RunEvents } from '../worker/outcome/run-events.js';
import { DueKeeper } from './due-keeper.js';
import { PeriodicTasks } from './periodic-tasks.js';
import { RetentionKeeper } from './retention-keeper.js';
import { UnroutableCommands } from './unroutable-commands.js';
import { UnservedCommandKeeper, type TrustOf } from './unserved.js';

/** Between looks for commands that no consumer sees, and between trims of executed commands. */
const SWEEP_MS = 5000;
const TRIM_MS = 60_000;
/** Between looks whether the stream of commands can be written. */
const STORAGE_MS = 10_000;
/** Between looks at the durables, which an operator may change under a worker. */
const CHECK_DURABLES_MS = 60_000;

export interface UpkeepServices {
  readonly runtime: ConsumerRuntime;
  readonly guard: ConsumerGuard;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly events: RunEvents;
  readonly deadLetters: DeadLetterWriter;
}

/** What any worker does for all of them, now and then. */
export class WorkerUpkeep {
  readonly #services: UpkeepServices;
  readonly #tasks: PeriodicTasks;
  #stopped = false;

  constructor(services: UpkeepServices) {
    this.#services = services;
    this.#tasks = new PeriodicTasks('Worker', () => services.runtime.connected && !this.#stopped);
  }

  start(workflows: readonly RunAddress[], lanes: readonly Lane[], trustOf: TrustOf): void {
    const { runtime, guard } = this.#services;
    // Once at the start, too: until a worker pulls, another one may shorten the lease that it has read.
    this.#tasks.nowAndEvery(CHECK_DURABLES_MS, 'Consumers could not be looked at', () => this.#checkDurables(lanes));
    const quorum = new QuorumWatch(runtime.api, runtime.options.names.streams.runs);
    this.#tasks.every(QUORUM_CHECK_MS, 'The servers could not be watched', async () => {
      if ((await quorum.isCutOff()) && !this.#stopped) await guard.leaveServer();
    });
    if (runtime.options.provision) this.#startKeepers(workflows, trustOf);
  }

  stop(): void {
    this.#stopped = true;
    this.#tasks.stop();
  }

  #startKeepers(workflows: readonly RunAddress[], trustOf: TrustOf): void {
    const { runtime, publisher, events, deadLetters } = this.#services;
    const { api, alarms } = runtime;
    const { names, runs } = runtime.options;
    const bounds = { afterMs: runs.unservedAfterMs, keepMs: runs.keepExecutedMs, trustOf };
    const unserved = new UnservedCommandKeeper(api, events, deadLetters, names, bounds);
    const unroutable = new UnroutableCommands(api, deadLetters, names, alarms, unserved);
    const retention = new RetentionKeeper(api, names, runs.keepExecutedMs);
    const storage = new StorageWatch(api, publisher, names);
    this.#tasks.every(STORAGE_MS, 'Storage could not be looked at', () => storage.look());
    this.#tasks.every(SWEEP_MS, 'Unroutable commands could not be looked for', () => unroutable.sweep());
    const trimMs = Math.min(TRIM_MS, Math.max(1000, runs.keepExecutedMs));
    const due = new DueKeeper(api, names, trimMs / 2);
    this.#tasks.every(trimMs, 'Executed commands could not be trimmed', () => retention.trim(workflows));
    this.#tasks.every(trimMs, 'Due commands could not be trimmed', () => due.trim());
  }

  /** Durables are as they are wanted, or an alarm says why not; leases are renewed by what they have. */
  async #checkDurables(lanes: readonly Lane[]): Promise<void> {
    const { topology, runtime } = this.#services;
    for (const lane of lanes) {
      // To restore it makes sure of the same.
      if (lane.loop.restoring || this.#stopped) continue;
      const { durable } = lane.target;
      const alarm = `consumer:${durable}`;
      try {
        lane.applyState(await topology.ensureConsumer(lane.desired));
        runtime.alarms.clear(alarm);
      } catch (error) {
        if (!(error instanceof LoopstackError)) throw error;
        runtime.alarms.raise(alarm, `consumer ${durable} is not as it should be: ${error.message}`);
      }
    }
  }
}
