import {
  LoopstackModule,
  Workers,
  Workspace,
  type LoopstackOptions,
  type Outcome,
  type PayloadOf,
  type ResultOf,
  type WorkflowClass,
  type WorkflowRunner,
} from '@loopstack/core';
import { HEADER, LoopstackError, encodeRunCommand, localMs, newRunId, wireNames, type Headers } from '@loopstack/shared';
import type { ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MemoryHeaders } from './broker/memory-stream.js';

/** All optional. */
export interface RunWorkflowOptions extends Pick<ModuleMetadata, 'imports' | 'providers'> {
  /** On whose behalf. Default `test`. */
  readonly userId?: string;
  /** Name of the workspace. Default `Test`. */
  readonly workspace?: string;
  /** Default: a new one. */
  readonly runId?: string;
  /** From 1, the default. */
  readonly attempt?: number;
  /** `ctx.headers`. */
  readonly headers?: Headers;
  readonly correlationId?: string;
  /** Called with what the workflow passes to `ctx.progress()`, whatever it records. */
  readonly progress?: (value: unknown) => void;
  /** Cancels the run, which aborts `ctx.signal`. */
  readonly signal?: AbortSignal;
  /** As `LoopstackModule.forRoot` takes them. */
  readonly loopstack?: LoopstackOptions;
}

/**
 * Runs a workflow once, as a worker does: the payload is written as JSON, read and validated; guards, pipes and interceptors of the class
 * apply; the result is what JSON brings back of the return value (`undefined` for a workflow that records `none`). There is no broker
 * and no second attempt. A workflow that starts runs gets a `RunService` of yours, among the `providers`.
 * @throws what the workflow throws; LoopstackError PAYLOAD_INVALID, PAYLOAD_UNSERIALIZABLE, USER_MISSING, HANDLER_TIMEOUT, RUN_CANCELED,
 *   RESULT_TOO_LARGE, RESULT_UNSERIALIZABLE
 */
export async function runWorkflow<W extends WorkflowClass>(
  workflow: W,
  payload: PayloadOf<W>,
  options: RunWorkflowOptions = {},
): Promise<ResultOf<W>> {
  const { imports = [], providers = [], workspace = 'Test', loopstack = {} } = options;
  class Space {}
  Workspace({ name: workspace, workflows: [workflow] })(Space);
  const module = await Test.createTestingModule({
    imports: [LoopstackModule.forRoot(loopstack), ...imports],
    providers: [workflow, Space, ...providers],
  }).compile();
  try {
    await module.init();
    const runner = module.get(Workers).runners()[0] as WorkflowRunner;
    return valueOf(await execute(runner, payload, options)) as ResultOf<W>;
  } finally {
    await module.close();
  }
}

function execute(runner: WorkflowRunner, payload: unknown, options: RunWorkflowOptions): Promise<Outcome> {
  const { userId = 'test', attempt = 1, runId = newRunId(), headers = {}, correlationId, progress, signal } = options;
  signal?.throwIfAborted();
  const correlation = correlationId === undefined ? {} : { [HEADER.CORRELATION_ID]: correlationId };
  const run = runner.prepare({
    subject: wireNames().run(runner.entry),
    data: encodeRunCommand({ payload, userId }),
    headers: new MemoryHeaders({ ...headers, ...correlation, [HEADER.RUN_ID]: runId }),
    sequence: 1,
    timeMs: localMs(),
    deliveries: attempt,
  });
  const report = progress && ((value: unknown): Promise<void> => Promise.resolve(progress(value)));
  return new Promise((resolve) => {
    const execution = runner.execute(run, attempt, report, (outcome) => {
      signal?.removeEventListener('abort', cancel);
      resolve(outcome.kind === 'canceled' ? { kind: 'invalid', error: new LoopstackError('RUN_CANCELED', { runId }) } : outcome);
    });
    function cancel(): void {
      execution.abort('canceled');
    }
    if (!execution.ended) signal?.addEventListener('abort', cancel, { once: true });
  });
}

/** Errors of the workflow itself are thrown as they are: a test names their classes. */
function valueOf(outcome: Outcome): unknown {
  if (outcome.kind === 'succeeded') return outcome.json === undefined ? undefined : JSON.parse(outcome.json);
  const { error } = outcome as Outcome & { error: LoopstackError };
  if (outcome.kind === 'failed' && error.code === 'HANDLER_FAILED') throw error.cause;
  throw error;
}
