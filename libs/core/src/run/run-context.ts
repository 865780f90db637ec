import { Logger } from '@nestjs/common';
import { HEADER, LoopstackError, describeLoss, emptyHeaders, isServerHeader, lossInJson, printable, type Headers } from '@loopstack/shared';
import { causeDepthOf, causeHeaders, type Cause } from '../events/cause.js';
import type { Delivery, PreparedRun } from './prepare.js';
import { reasonOf } from './thrown.js';

/** Why `ctx.signal` was aborted. */
export type AbortReason = 'timeout' | 'canceled' | 'shutdown' | 'lease-lost';

/** Longest correlation id that is passed on, in characters. */
const MAX_CORRELATION_ID = 256;

/** What a workflow is told about the run that it executes. */
export interface RunContext {
  readonly runId: string;
  readonly workspace: string;
  readonly workflow: string;
  /** On whose behalf. What the producer claimed: never proof of identity. */
  readonly userId: string;
  /** From 1. */
  readonly attempt: number;
  /** True if an earlier execution of this run may have left effects. */
  readonly redelivered: boolean;
  /** Aborted with a LoopstackError on timeout, cancel, shutdown (past the grace period) and a lost lease. */
  readonly signal: AbortSignal;
  /** The headers of the command, without the broker's. */
  readonly headers: Headers;
  readonly correlationId: string;
  /** Runs in the chain of causes before this one. */
  readonly causeDepth: number;
  /** Headers for messages that the workflow publishes itself: a run that they start has this one as its cause. Runs that it starts have it anyhow. */
  readonly causeHeaders: Headers;
  /** Lines of this run: their context is the workflow and the run id. */
  readonly logger: Logger;
  /** Records a progress event; a no-op unless the workflow records `full`. Never rejects. */
  progress(value: unknown): Promise<void>;
}

function withoutServers(received: Delivery['headers']): Headers {
  const headers = emptyHeaders();
  for (const [name, value] of received.entries()) if (!isServerHeader(name)) headers[name] = value;
  return headers;
}

/** What a context reads from its surroundings, once per workflow. */
export interface ContextSource {
  readonly workspace: string;
  readonly workflow: string;
}

/** One per execution, on the hot path: what costs (AbortController, headers) is made when it is first asked for. */
export class ExecutionRunContext implements RunContext, Cause {
  readonly runId: string;
  readonly redelivered: boolean;
  #controller: AbortController | undefined;
  #reason: LoopstackError | undefined;
  #logger: Logger | undefined;
  #headers: Headers | undefined;
  readonly #source: ContextSource;
  readonly #received: Delivery['headers'];
  readonly #report: ((value: unknown) => Promise<void>) | undefined;

  /** @param run names its run, and the headers that came with the command */
  constructor(
    source: ContextSource,
    { runId, delivery }: Pick<PreparedRun, 'runId' | 'delivery'>,
    readonly userId: string,
    readonly attempt: number,
    report: ((value: unknown) => Promise<void>) | undefined,
  ) {
    this.#source = source;
    this.runId = runId;
    this.redelivered = delivery.deliveries > 1 || attempt > 1;
    this.#received = delivery.headers;
    this.#report = report;
  }

  get workspace(): string {
    return this.#source.workspace;
  }

  get workflow(): string {
    return this.#source.workflow;
  }

  get headers(): Headers {
    return (this.#headers ??= withoutServers(this.#received));
  }

  get correlationId(): string {
    const given = this.headers[HEADER.CORRELATION_ID];
    // Any producer may have written it, and it ends up in logs and in the headers of other commands.
    return given === undefined || given === '' ? this.runId : printable(given, MAX_CORRELATION_ID);
  }

  get causeDepth(): number {
    return causeDepthOf(this.headers[HEADER.CAUSE_DEPTH]);
  }

  get causeHeaders(): Headers {
    return causeHeaders(this);
  }

  get logger(): Logger {
    return (this.#logger ??= new Logger(`${this.#source.workflow} ${this.runId}`));
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  progress(value: unknown): Promise<void> {
    if (!this.#report) return Promise.resolve();
    const loss = this.#lossIn(value);
    if (loss === undefined) return this.#report(value);
    this.logger.warn(`Progress was not recorded: ${loss}`);
    return Promise.resolve();
  }

  /** Why it cannot be recorded, in one line. */
  #lossIn(value: unknown): string | undefined {
    try {
      JSON.stringify(value);
      const loss = lossInJson(value);
      return loss && printable(describeLoss(loss, 'it'));
    } catch (thrown) {
      return reasonOf(thrown);
    }
  }

  /** @internal */
  abort(reason: LoopstackError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}
