import { PacedRead, ERR_CODE, hasCode } from '@loopstack/jetstream';
import { Releases } from '@loopstack/client';
import type { schemaCheck } from '@loopstack/operations';
import { handOver, type WorkflowRunner } from '@loopstack/core';
import { monotonicMs, type Contract, type JsonSchema, type LoopstackError, type Refusal, type RunEvent } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { CommandMessage } from './command-message.js';
import { RecentKeys } from '../upkeep/recent-keys.js';

/** Between reads of what other releases accept, for one workflow: however many payloads are refused. */
const LOOK_EVERY_MS = 250;
/** How long a bucket is asked again that does not answer, and how long it is taken for absent then. */
const PATIENCE_MS = 10_000;
const ABSENT_MS = 60_000;
/** Refused commands of a workflow that one process lets come back in a second; more of them wait longer, up to a bound. */
const RATE = 100;
const MAX_WAIT_MS = 60_000;
/** A contract that was told of is told of again after this; so many are remembered. */
const TELL_AGAIN_MS = 600_000;
const TOLD = 64;
/** As long after the last one, health still tells that commands wait for another release. */
const SHOWN_MS = 60_000;

/** Commands that wait for a worker of another release. */
export interface HandedOver {
  /** Given back since they were last none. */
  readonly deliveries: number;
  readonly lastMs: number;
  /** Contracts that accept them. */
  readonly contracts: readonly string[];
}

/** The other releases of one workflow that run: finds out, for payloads that this release refuses, whether one of them accepts them. */
export class OtherReleases {
  readonly #runner: WorkflowRunner;
  readonly #checkSchema: ReturnType<typeof schemaCheck>;
  readonly #logger: Logger;
  readonly #others: PacedRead<ReadonlyMap<string, Contract>>;
  readonly #before = new WeakMap<CommandMessage, Refusal>();
  readonly #told = new RecentKeys(TOLD);
  #absentUntilMs = 0;
  #nextTurnMs = 0;
  #shown: HandedOver | undefined;

  constructor(runner: WorkflowRunner, releases: Releases, checkSchema: ReturnType<typeof schemaCheck>) {
    this.#runner = runner;
    this.#checkSchema = checkSchema;
    this.#logger = new Logger(`${runner.entry.workspace}.${runner.entry.workflow}`);
    this.#others = new PacedRead(() => this.#read(releases), LOOK_EVERY_MS);
  }

  /** Commands that were given back lately. */
  get shown(): HandedOver | undefined {
    return this.#shown && monotonicMs() - this.#shown.lastMs < SHOWN_MS ? this.#shown : undefined;
  }

  /** What the history of a command says of earlier refusals. */
  seen(message: CommandMessage, last: RunEvent | undefined): void {
    if (Array.isArray(last?.refusal?.by)) this.#before.set(message, last.refusal);
  }

  /** Whether a release has refused it before. */
  wasRefused(message: CommandMessage): boolean {
    return message.historySequence !== 0 && this.#before.has(message);
  }

  /** What a refusal comes to; undefined: no release that runs can do the command. Never rejects. */
  async accept(message: CommandMessage, error: LoopstackError): Promise<ReturnType<typeof handOver>> {
    const waitMs = this.#runner.entry.options.waitForReleaseMs;
    const before = this.#before.get(message);
    if (waitMs === 0) return undefined;
    const accepting = await this.#accepting(message);
    const refused = { before, contract: this.#runner.contract.id, acceptedBy: accepting, waitMs, turnMs: this.#turnMs() };
    const given = handOver(refused, Math.random());
    if (given) {
      this.#nextTurnMs = monotonicMs() + refused.turnMs + 1000 / RATE;
      this.#tell(accepting, error);
      return given;
    }
    if (before) this.#logger.warn(`A command was refused ${before.count + 1} times, and no release that runs takes it`);
    return undefined;
  }

  /** Contracts of other releases that run, and that accept the payload. */
  async #accepting(message: CommandMessage): Promise<readonly string[]> {
    try {
      const others = [...(await this.#others.ask())].filter(([id]) => id !== this.#runner.contract.id);
      if (others.length === 0) return [];
      // Decoded again: a validator may have changed what it was given.
      const { command } = this.#runner.prepare(message);
      if (!command) return [];
      return others.filter(([, { payload }]) => payload === undefined || this.#accepts(payload, command.payload)).map(([id]) => id);
    } catch (error) {
      this.#logger.warn(`What other releases accept could not be read: ${(error as Error).message}`);
      return [];
    }
  }

  /** A schema that cannot be used says nothing against the payload. */
  #accepts(schema: JsonSchema, payload: unknown): boolean {
    try {
      return this.#checkSchema(schema, payload, this.#runner.entry).length === 0;
    } catch {
      return true;
    }
  }

  async #read(releases: Releases): Promise<ReadonlyMap<string, Contract>> {
    if (monotonicMs() < this.#absentUntilMs) return new Map();
    for (const untilMs = monotonicMs() + PATIENCE_MS; ;) {
      try {
        return await releases.contracts(this.#runner.entry);
      } catch (error) {
        const absent = hasCode(error, ERR_CODE.STREAM_NOT_FOUND);
        if (!absent && monotonicMs() < untilMs) {
          await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
          continue;
        }
        // Without a bucket there is no other release that says so.
        if (!absent) this.#logger.warn(`What other releases accept cannot be read: ${(error as Error).message}`);
        this.#absentUntilMs = monotonicMs() + (absent ? LOOK_EVERY_MS : ABSENT_MS);
        return new Map();
      }
    }
  }

  /** Until one more may come back. */
  #turnMs(): number {
    return Math.min(MAX_WAIT_MS, Math.max(0, this.#nextTurnMs - monotonicMs()));
  }

  /** Once for each release, and again after a while: not for each command. */
  #tell(contracts: readonly string[], error: LoopstackError): void {
    const nowMs = monotonicMs();
    const deliveries = (this.shown?.deliveries ?? 0) + 1;
    this.#shown = { deliveries, lastMs: nowMs, contracts };
    for (const contract of contracts) {
      if (this.#told.has(contract, nowMs - TELL_AGAIN_MS)) continue;
      this.#told.add(contract, nowMs);
      const waits = `left to workers of another release that runs (contract ${contract}), for up to ${this.#runner.entry.options.waitForReleaseMs} ms`;
      this.#logger.warn(`Commands that this release refuses are ${waits}. The first one: ${error.message}`);
    }
  }
}
