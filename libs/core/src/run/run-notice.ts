import type { Headers, RecordedError, RunAddress, RunEvent, RunEventType } from '@loopstack/shared';
import { causeHeaders, type Cause } from '../events/cause.js';

/** By type of the event; looked up by an index, so that a notice of one type is a notice of any type. */
type Results<Result> = { readonly succeeded: Result } & Readonly<Record<Exclude<RunEventType, 'succeeded'>, undefined>>;

/** Something that happened to a run, as `@OnRun` methods and chains are told. */
export interface RunNotice<Result = unknown, On extends RunEventType = RunEventType> extends RunAddress, Cause {
  readonly type: On;
  readonly runId: string;
  /** On whose behalf the run was; known with an outcome. */
  readonly userId: string | undefined;
  /** Return value of the workflow, with `succeeded`. */
  readonly result: Results<Result>[On];
  /** With `failed`, `retrying` and `expired`. */
  readonly error: RecordedError | undefined;
  /** The event as it is recorded. */
  readonly event: RunEvent;
  /** Headers for messages that are published because of this: what they start has this run as its cause. */
  readonly causeHeaders: Headers;
}

export function runNotice({ workspace, workflow }: RunAddress, runId: string, event: RunEvent): RunNotice {
  const cause: Cause = { runId, correlationId: event.correlationId ?? runId, causeDepth: event.causeDepth ?? 0 };
  return {
    ...cause,
    workspace,
    workflow,
    type: event.type,
    userId: event.userId,
    result: event.result,
    error: event.error,
    event,
    causeHeaders: causeHeaders(cause),
  };
}
