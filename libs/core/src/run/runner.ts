import { LoopstackError, summarize, monotonicMs } from '@loopstack/shared';
import { contractOf, type KnownContract } from '../declare/catalogue-entry.js';
import { withCause } from '../events/cause.js';
import type { Invoke } from '../declare/enhancers.js';
import { commandAsStored, isForeign, prepareRun, type CommandLimits, type Delivery, type PreparedRun } from './prepare.js';
import type { Redactor } from '../declare/redact.js';
import type { RegisteredWorkflow } from '../declare/registry.js';
import { isA, reasonOf } from './thrown.js';
import { ExecutionRunContext, type AbortReason } from './run-context.js';
import { outcomeOf } from './result.js';
import type { Outcome } from './settle.js';
import type { Validated } from '../validation/payload-validator.js';

/** Thrown by a workflow to say that another attempt would end the same way. */
export class NonRetryableError extends Error {
  override readonly name: string = 'NonRetryableError';
}

const ABORTS: Record<AbortReason, (run: Execution, entry: RegisteredWorkflow) => Outcome> = {
  timeout: (_, entry) => ({
    kind: 'timeout',
    error: new LoopstackError('HANDLER_TIMEOUT', { workflow: entry.workflow, timeoutMs: entry.options.timeoutMs }),
  }),
  canceled: () => ({ kind: 'canceled' }),
  shutdown: () => ({ kind: 'shutdown' }),
  'lease-lost': () => ({ kind: 'lease-lost' }),
};

const ABORT_ERRORS: Record<AbortReason, (run: Execution, entry: RegisteredWorkflow) => LoopstackError> = {
  timeout: (_, entry) => new LoopstackError('HANDLER_TIMEOUT', { workflow: entry.workflow, timeoutMs: entry.options.timeoutMs }),
  canceled: (run) => new LoopstackError('RUN_CANCELED', { runId: run.runId }),
  shutdown: () => new LoopstackError('CLOSED'),
  'lease-lost': (run) => new LoopstackError('LEASE_LOST', { runId: run.runId }),
};

/** One execution of a run. It ends once: by the workflow's own outcome, or by an abort, whichever is first. */
export class Execution {
  #done: ((outcome: Outcome) => void) | undefined;
  #place: number;
  readonly #entry: RegisteredWorkflow;
  readonly #active: Execution[];
  context: ExecutionRunContext | undefined;

  constructor(
    readonly runId: string,
    readonly deadlineMs: number,
    entry: RegisteredWorkflow,
    active: Execution[],
    done: (outcome: Outcome) => void,
  ) {
    this.#entry = entry;
    this.#active = active;
    this.#done = done;
    this.#place = active.push(this) - 1;
  }

  get ended(): boolean {
    return this.#done === undefined;
  }

  end(outcome: Outcome): void {
    const done = this.#done;
    if (done === undefined) return;
    this.#done = undefined;
    // The outcome may take its time to be recorded: the payload is not kept for that.
    this.context = undefined;
    this.#leave();
    done(outcome);
  }

  /** The last one takes its place: a Set would make its table anew with every few hundred runs. */
  #leave(): void {
    const last = this.#active.pop() as Execution;
    if (last === this) return;
    this.#active[this.#place] = last;
    last.#place = this.#place;
  }

  /** Aborts `ctx.signal` and ends the execution; what the workflow does afterwards has no effect on the run. */
  abort(reason: AbortReason): void {
    if (this.ended) return;
    this.context?.abort(ABORT_ERRORS[reason](this, this.#entry));
    this.end(ABORTS[reason](this, this.#entry));
  }
}

/** What a workflow threw, as an error of the catalogue. Rejections with nothing, or with what is no error, are told apart. */
function failure(workflow: string, thrown: unknown): Pick<Outcome & { kind: 'failed' }, 'error' | 'retryable' | 'thrown'> {
  if (isA(thrown, LoopstackError)) return { error: thrown, retryable: thrown.retryable || thrown.statusCode >= 500, thrown: true };
  return {
    error: new LoopstackError('HANDLER_FAILED', { workflow, reason: reasonOf(thrown) }, { cause: thrown }),
    retryable: !isA(thrown, NonRetryableError),
  };
}

/** Executes the runs of one workflow: decode, validate, invoke. Knows no broker. */
export class WorkflowRunner {
  readonly #active: Execution[] = [];
  #sweep: NodeJS.Timeout | undefined;
  #contract: KnownContract | undefined;
  /** Payloads as a validator made them, where values of them are to be kept out of messages. */
  readonly #used = new WeakMap<Execution, unknown>();
  readonly #invoke: Invoke;
  readonly #limits: CommandLimits;

  constructor(
    readonly entry: RegisteredWorkflow,
    invoke: Invoke,
    limits: CommandLimits,
    /** Name of the release, where it has one. */
    readonly release?: string,
  ) {
    this.#invoke = invoke;
    this.#limits = limits;
  }

  /** What this release accepts as payload. */
  get contract(): KnownContract {
    return (this.#contract ??= contractOf(this.entry, this.release));
  }

  /** The executions of now. */
  get active(): readonly Execution[] {
    return [...this.#active];
  }

  /** For how long a signature may be good in this workspace; undefined where none is demanded. */
  get signatureValidityMs(): number | undefined {
    return this.#limits.trust?.maxValidityMs;
  }

  prepare(delivery: Delivery): PreparedRun {
    return prepareRun(this.entry, delivery, this.#limits);
  }

  /** Validates and runs; `done` is called exactly once, perhaps before this returns. */
  execute(
    run: PreparedRun,
    attempt: number,
    report: ((value: unknown) => Promise<void>) | undefined,
    done: (outcome: Outcome) => void,
  ): Execution {
    const { redactor, timeoutMs } = this.entry.options;
    const told =
      redactor === undefined ? done : (outcome: Outcome) => done(redacted(outcome, redactor, this.entry, run, this.#used.get(execution)));
    const execution: Execution = new Execution(run.runId, monotonicMs() + timeoutMs, this.entry, this.#active, told);
    this.#watch();
    if (run.command === undefined) {
      const error = run.error ?? new LoopstackError('COMMAND_INVALID', { summary: 'unknown' });
      execution.end({ kind: isForeign(error) ? 'untrusted' : 'invalid', error });
      return execution;
    }
    const { payload, userId } = run.command;
    const context = new ExecutionRunContext(this.entry, run, userId, attempt, report);
    execution.context = context;
    try {
      const { validator } = this.entry;
      const validated = validator === undefined ? undefined : validator.validate(payload);
      if (validated === undefined) this.#call(execution, context, payload);
      else if (validated instanceof Promise) this.#beginAfter(validated, execution, context);
      else this.#begin(execution, context, validated);
    } catch (thrown) {
      execution.end({ kind: 'failed', ...failure(this.entry.workflow, thrown) });
    }
    return execution;
  }

  #beginAfter(validating: Promise<Validated<unknown>>, execution: Execution, context: ExecutionRunContext): void {
    validating.then(
      (validated) => this.#begin(execution, context, validated),
      (thrown: unknown) => execution.end({ kind: 'failed', ...failure(this.entry.workflow, thrown) }),
    );
  }

  #begin(execution: Execution, context: ExecutionRunContext, validated: Validated<unknown>): void {
    if (execution.ended) return;
    if (validated.ok) {
      if (this.entry.options.redactor !== undefined) this.#used.set(execution, validated.value);
      this.#call(execution, context, validated.value);
      return;
    }
    const { errors } = validated;
    const error = new LoopstackError('PAYLOAD_INVALID', { workflow: this.entry.workflow, summary: summarize(errors) }, { errors });
    execution.end({ kind: 'invalid', error });
  }

  #call(execution: Execution, context: ExecutionRunContext, payload: unknown): void {
    try {
      const returned = withCause(context, this.#invoke, payload, context);
      if (isThenable(returned)) this.#endAfter(returned, execution);
      else execution.end(outcomeOf(this.entry, returned));
    } catch (thrown) {
      execution.end({ kind: 'failed', ...failure(this.entry.workflow, thrown) });
    }
  }

  /** Apart, so that what waits keeps the execution alone. */
  #endAfter(returned: PromiseLike<unknown>, execution: Execution): void {
    returned.then(
      (result) => execution.end(outcomeOf(this.entry, result)),
      (thrown: unknown) => execution.end({ kind: 'failed', ...failure(this.entry.workflow, thrown) }),
    );
  }

  /** One timer for the deadlines of all executions, running only while there are any. */
  #watch(): void {
    if (this.#sweep) return;
    const everyMs = Math.min(1000, Math.max(5, Math.floor(this.entry.options.timeoutMs / 20)));
    this.#sweep = setInterval(() => {
      const now = monotonicMs();
      for (const execution of this.#active) if (execution.deadlineMs <= now) execution.abort('timeout');
      if (this.#active.length === 0) {
        clearInterval(this.#sweep);
        this.#sweep = undefined;
      }
    }, everyMs);
    this.#sweep.unref();
  }
}

/** The outcome as it may be logged and recorded. */
function redacted(
  outcome: Outcome,
  redactor: Redactor,
  { workspace, workflow }: RegisteredWorkflow,
  run: PreparedRun,
  used: unknown,
): Outcome {
  if (!('error' in outcome)) return outcome;
  const payload = commandAsStored(run)?.payload;
  const thrown = outcome.kind === 'failed' && outcome.thrown === true;
  return { ...outcome, error: redactor.error(outcome.error, payload, { workspace, workflow, runId: run.runId }, { used, thrown }) };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
