import type { WorkflowRunner } from '@loopstack/core';
import { schemaCheck } from '@loopstack/operations';
import { LoopstackError } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { retryUntilLeader } from '../topology/retry-until-leader.js';
import { releasesOf } from '../topology/running-releases.js';
import type { CanceledRuns } from './canceled-runs.js';
import { CrashIsolationGate } from './queue/crash-isolation-gate.js';
import type { DeadLetterWriter } from './outcome/dead-letter-writer.js';
import type { LaneServices } from './queue/lane.js';
import { OtherReleases } from './other-releases.js';
import type { RunEvents } from './outcome/run-events.js';
import { Settler } from './outcome/settler.js';
import { WorkflowConsumer, type WorkflowServices } from './workflow-consumer.js';

export interface FactoryServices extends LaneServices {
  readonly events: RunEvents;
  readonly deadLetters: DeadLetterWriter;
  readonly canceled: CanceledRuns;
}

/** Makes the consumers of workflows: their durables on the server, and what takes commands from them here. */
export class ConsumerFactory {
  readonly #services: FactoryServices;

  constructor(services: FactoryServices) {
    this.#services = services;
  }

  /**
   * Nothing is pulled yet.
   * @param starting false: the worker is stopped while it starts
   * @throws LoopstackError BOOT_FAILED, with all that is wrong
   */
  async create(runners: readonly WorkflowRunner[], starting: () => boolean): Promise<readonly WorkflowConsumer[]> {
    const { runtime, events, deadLetters, canceled } = this.#services;
    const { api, alarms } = runtime;
    const { names } = runtime.options;
    const suspects = new CrashIsolationGate();
    const others = releasesOf(api, names);
    const checkSchema = schemaCheck({ warn: (text) => new Logger('Catalogue').warn(text) });
    const consumers: WorkflowConsumer[] = [];
    const problems: string[] = [];
    for (const runner of runners) {
      if (!starting()) return consumers;
      const releases = new OtherReleases(runner, others, checkSchema);
      const settler = new Settler(runner.entry, { events, deadLetters, alarms, releases, stream: names.streams.runs });
      const services: WorkflowServices = { settler, events, canceled, suspects };
      const consumer = new WorkflowConsumer(runner, services);
      problems.push(...(await this.#addLanes(consumer, starting)));
      consumers.push(consumer);
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    return consumers;
  }

  /** @returns what is wrong with its durables */
  async #addLanes(consumer: WorkflowConsumer, starting: () => boolean): Promise<readonly string[]> {
    const { topology } = this.#services;
    const { entry } = consumer.runner;
    const problems: string[] = [];
    const wanted = { address: entry, leaseMs: entry.options.leaseMs, lanes: entry.options.priorities };
    const { consumers, sharedUntilMs } = await retryUntilLeader(() => topology.consumersOf(wanted), starting);
    for (const desired of consumers) {
      try {
        const state = await retryUntilLeader(() => topology.ensureConsumer(desired), starting);
        const lane = consumer.addLane(desired, this.#services);
        lane.applyState(state);
        // What was stored before its durable was made may have been delivered by one that is gone.
        lane.uncertainUntil(Math.max(state.createdMs, sharedUntilMs));
      } catch (error) {
        if (!(error instanceof LoopstackError)) throw error;
        problems.push(`${error.message}. ${error.fix}`);
      }
    }
    return problems;
  }
}
