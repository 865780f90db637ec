import {
  PriorityRotation,
  disowned,
  examine,
  factsOfRun,
  originOf,
  recordedError,
  recordsStart,
  redactedBody,
  settle,
  type Delivery,
  type Execution,
  type Outcome,
  type PreparedRun,
  type Settlement,
  type WorkflowRunner,
} from '@loopstack/core';
import {
  LoopstackError,
  deadLetterHeaders,
  isOutcome,
  keyConflict,
  type Priority,
  type RecordedError,
  type RunEvent,
  type RunEventType,
} from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { MemoryBroker } from './memory-broker.js';
import type { MemoryHeaders, MemoryMessage } from './memory-stream.js';

/** No jitter: a retry comes exactly when its policy says. */
const NO_JITTER = 0.5;

/** A command that the worker holds until it is settled. */
class HeldCommand implements Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MemoryHeaders;
  readonly sequence: number;
  readonly timeMs: number;
  deliveries = 1;
  runId: string | undefined;
  content: string | undefined;
  execution: Execution | undefined;
  isRetried = false;
  /** Ends its task; undefined while it waits for its next attempt. */
  leave: (() => void) | undefined;

  constructor(
    { subject, data, headers, sequence, timeMs }: MemoryMessage,
    readonly priority: Priority,
  ) {
    this.subject = subject;
    this.data = data;
    this.headers = headers;
    this.sequence = sequence;
    this.timeMs = timeMs;
  }
}

/** Runs the commands of one workflow. What becomes of each is decided by the functions of the core. */
export class MemoryWorker {
  readonly #logger: Logger;
  readonly #title: string;
  readonly #waiting: Readonly<Record<Priority, HeldCommand[]>> = { high: [], normal: [], low: [] };
  readonly #rotation = new PriorityRotation();
  readonly #executing = new Set<HeldCommand>();
  #active = 0;
  #isPumpPlanned = false;
  #stopped = false;

  constructor(
    private readonly broker: MemoryBroker,
    readonly runner: WorkflowRunner,
  ) {
    const { workspace, workflow } = runner.entry;
    this.#title = `${workspace}.${workflow}`;
    this.#logger = new Logger(this.#title);
  }

  offer(message: MemoryMessage, priority: Priority): void {
    this.#queue(new HeldCommand(message, this.runner.entry.options.priorities ? priority : 'normal'));
  }

  /** Aborts what executes of a run. */
  cancel(runId: string): void {
    for (const { runId: executing, execution } of this.#executing) if (executing === runId) execution?.abort('canceled');
  }

  /** Takes nothing from now on. */
  stop(): void {
    this.#stopped = true;
    for (const waiting of Object.values(this.#waiting)) for (const command of waiting.splice(0)) command.leave?.();
  }

  abort(): void {
    for (const execution of this.runner.active) execution.abort('shutdown');
  }

  #queue(command: HeldCommand): void {
    if (this.#stopped) return;
    command.leave = this.broker.activity.begin(`a run of ${this.#title}`);
    this.#waiting[command.priority].push(command);
    this.#planPump();
  }

  /** Never within the call that stores a command: its producer has the handle first. */
  #planPump(): void {
    if (this.#isPumpPlanned) return;
    this.#isPumpPlanned = true;
    void Promise.resolve().then(() => {
      this.#isPumpPlanned = false;
      while (!this.#stopped && this.#active < this.runner.entry.options.concurrency) {
        const command = this.#rotation.next((priority) => this.#waiting[priority].shift());
        if (!command) break;
        this.#begin(command);
      }
    });
  }

  #begin(command: HeldCommand): void {
    this.#active++;
    this.#executing.add(command);
    const run = this.runner.prepare(command);
    try {
      this.#examine(command, run);
    } catch (error) {
      this.#logger.error(`Run ${run.runId} could not be examined: ${(error as Error).message}`);
      this.#release(command);
    }
  }

  #examine(command: HeldCommand, run: PreparedRun): void {
    const { entry } = this.runner;
    command.runId = run.runId;
    command.content = run.content;
    if (run.claimed && command.deliveries === 1 && !this.broker.lastEvent(entry, run.runId)) this.#record('queued', command, 0);
    const last = this.broker.lastEvent(entry, run.runId)?.event;
    const conflict = last?.sequence === command.sequence ? undefined : keyConflict(run.runId, last?.content, run.content);
    if (conflict) return this.#examine(command, disowned(run, conflict));
    const decision = examine(command.deliveries, command.sequence, last, entry.options.retry);
    if (decision.action === 'already-settled') return this.#ended(command, run, 1, { kind: 'already-settled' });
    const { attempt } = decision;
    if (decision.action === 'died') {
      return this.#ended(command, run, attempt, { kind: 'worker-died', error: new LoopstackError('WORKER_DIED', { attempt }) });
    }
    if (!decision.begun && run.expiresAtMs !== undefined && run.expiresAtMs <= this.broker.clock.nowMs()) {
      const expiresAt = new Date(run.expiresAtMs).toISOString();
      return this.#ended(command, run, attempt, { kind: 'expired', error: new LoopstackError('EXPIRED', { expiresAt }) });
    }
    if (entry.options.record === 'full' || recordsStart(attempt, entry.options.retry, last)) this.#record('started', command, attempt);
    this.#execute(command, run, attempt);
  }

  #execute(command: HeldCommand, run: PreparedRun, attempt: number): void {
    const { options } = this.runner.entry;
    const report = options.record === 'full' ? (progress: unknown) => this.#progress(command, attempt, progress) : undefined;
    // The runner watches its deadline by the machine's clock, this timer by the one that may be moved.
    const timeout = this.broker.clock.after(options.timeoutMs, () => command.execution?.abort('timeout'));
    command.execution = this.runner.execute(run, attempt, report, (outcome) => {
      timeout.cancel();
      this.#ended(command, run, attempt, outcome);
    });
  }

  #progress(command: HeldCommand, attempt: number, progress: unknown): Promise<void> {
    if (command.execution?.ended) return Promise.resolve();
    try {
      this.broker.assertRoom(this.broker.events);
      this.#record('progress', command, attempt, { progress });
    } catch (error) {
      this.#logger.warn(`Run ${command.runId}: progress was not recorded: ${(error as Error).message}`);
    }
    return Promise.resolve();
  }

  #ended(command: HeldCommand, run: PreparedRun, attempt: number, outcome: Outcome): void {
    try {
      this.#carryOut(settle(outcome, attempt, this.runner.entry.options.retry, NO_JITTER), command, run, attempt);
    } catch (error) {
      this.#logger.error(`Run ${run.runId} could not be settled: ${(error as Error).message}`);
    }
    this.#release(command);
  }

  #carryOut(settlement: Settlement, command: HeldCommand, run: PreparedRun, attempt: number): void {
    const { entry } = this.runner;
    // The fence: the first outcome stands.
    const last = this.broker.lastEvent(entry, run.runId)?.event;
    if (last && isOutcome(last.type)) return;
    switch (settlement.action) {
      case 'succeed': {
        if (entry.options.record === 'none') return;
        const result = settlement.json === undefined ? {} : { result: JSON.parse(settlement.json) as unknown };
        return this.#record('succeeded', command, attempt, { ...originOf(run), ...result });
      }
      case 'expire':
        return this.#record('expired', command, attempt - 1, { error: recordedError(settlement.error), ...originOf(run) });
      case 'retry':
        return this.#retry(settlement, command, attempt);
      case 'return':
        return this.#record('queued', command, attempt - 1, { deliveries: command.deliveries });
      case 'dead':
        return this.#deadLetter(command, run, attempt, recordedError(settlement.error));
      case 'ack':
      case 'drop':
    }
  }

  #retry({ delayMs, error }: Settlement & { action: 'retry' }, command: HeldCommand, attempt: number): void {
    const { clock } = this.broker;
    this.#logger.debug(`Run ${command.runId}: attempt ${attempt} failed, the next one in ${delayMs} ms: ${error.message}`);
    const nextAtMs = clock.nowMs() + delayMs;
    this.#record('retrying', command, attempt, { error: recordedError(error), nextAttemptAt: new Date(nextAtMs).toISOString() });
    command.isRetried = true;
    clock.at(nextAtMs, () => {
      command.isRetried = false;
      command.deliveries++;
      this.#queue(command);
    });
  }

  #deadLetter(command: HeldCommand, run: PreparedRun, attempt: number, error: RecordedError): void {
    const { entry } = this.runner;
    const { dead, runs, clock, options } = this.broker;
    this.#logger.warn(`Run ${run.runId} is dead after attempt ${attempt}: ${error.message}`);
    this.#record('failed', command, attempt, { error, ...originOf(run) });
    const facts = factsOfRun(run, attempt, error, { stream: runs.name, time: clock.isoNow() });
    const redacted = redactedBody(entry.options.redactor, run);
    const headers = deadLetterHeaders(facts, command.headers, redacted ? 'redacted' : 'full');
    dead.append(options.names.dead(entry), redacted ?? command.data, headers);
  }

  #record(type: RunEventType, command: HeldCommand, attempt: number, more: Partial<RunEvent> = {}): void {
    const { content, sequence, runId } = command;
    const at = this.broker.clock.isoNow();
    const event: RunEvent = { type, at, attempt, sequence, worker: 'memory', ...(content === undefined ? {} : { content }), ...more };
    this.broker.record(this.runner.entry, runId as string, event);
  }

  #release(command: HeldCommand): void {
    this.#active--;
    this.#executing.delete(command);
    command.execution = undefined;
    if (!command.isRetried) this.broker.settled.add(command.sequence);
    const { leave } = command;
    command.leave = undefined;
    this.#planPump();
    // What it has started is under way by now.
    leave?.();
  }
}
