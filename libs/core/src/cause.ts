import { AsyncLocalStorage } from 'node:async_hooks';
import { HEADER, LoopstackError, type HeaderReader, type Headers } from '@loopstack/shared';

/** What made a run start: another run, directly or through an event. */
export interface Cause {
  readonly runId: string;
  readonly correlationId: string;
  /** Runs in the chain of causes before this one; 0 for a run that no run started. */
  readonly causeDepth: number;
}

const current = new AsyncLocalStorage<Cause>();

/** Calls `work` so that the runs it starts, also later and asynchronously, have `cause` as their cause. */
export function withCause<Args extends unknown[], R>(cause: Cause, work: (...args: Args) => R, ...args: Args): R {
  return current.run(cause, work, ...args);
}

/** Headers of a run, or of any message, that `cause` is the cause of. */
export function causeHeaders(cause: Cause): Headers {
  return {
    [HEADER.CAUSE]: cause.runId,
    [HEADER.CAUSE_DEPTH]: String(cause.causeDepth + 1),
    [HEADER.CORRELATION_ID]: cause.correlationId,
  };
}

/** Headers for what is published now; undefined outside of a run. */
export function currentCauseHeaders(): Headers | undefined {
  const cause = current.getStore();
  return cause && causeHeaders(cause);
}

/** The depth that a header tells; 0 for none, and for one that is no count. */
export function causeDepthOf(header: string | undefined): number {
  return header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) : 0;
}

/** The loop guard. @throws LoopstackError CAUSE_TOO_DEEP */
export function assertCauseDepth(header: string | undefined, limit: number): void {
  const depth = causeDepthOf(header);
  if (depth > limit) throw new LoopstackError('CAUSE_TOO_DEEP', { depth, limit });
}

/**
 * The loop guard for what reacts to runs. A run that is too deep becomes a dead letter once, in its worker; a reaction to
 * that failure which starts the next one would go on for ever.
 * @throws LoopstackError CAUSE_TOO_DEEP
 */
export function assertCauseNotTooDeep(limit: number): void {
  const depth = current.getStore()?.causeDepth ?? 0;
  if (depth > limit) throw new LoopstackError('CAUSE_TOO_DEEP', { depth: depth + 1, limit });
}

/** Tracing goes through, and so does the cause, if a run published the event with its `ctx.causeHeaders`. */
const PASSED_ON = [HEADER.CAUSE, HEADER.CAUSE_DEPTH, HEADER.CORRELATION_ID, HEADER.TRACEPARENT, HEADER.TRACESTATE] as const;

/** Headers that a run takes over from the event that starts it. */
export function headersFromEvent(event: HeaderReader): Headers {
  const headers: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = event.get(name);
    if (value !== undefined && value.length <= 1024) headers[name] = value;
  }
  return headers;
}
