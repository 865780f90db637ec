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

/**
 * The cause that an event names: the run that published it with its `ctx.causeHeaders`, or the run that it is about, as a
 * dead letter is.
 */
export function causeOfEvent(event: HeaderReader): Cause | undefined {
  const depth = causeDepthOf(event.get(HEADER.CAUSE_DEPTH));
  const about = shortHeader(event, HEADER.RUN_ID);
  const runId = about ?? shortHeader(event, HEADER.CAUSE);
  if (runId === undefined) return undefined;
  return {
    runId,
    correlationId: shortHeader(event, HEADER.CORRELATION_ID) ?? runId,
    causeDepth: about === undefined ? Math.max(0, depth - 1) : depth,
  };
}

/** What a stranger writes into headers must not keep a command from being stored. */
function shortHeader(event: HeaderReader, name: string): string | undefined {
  const value = event.get(name);
  return value !== undefined && value.length <= 512 ? value : undefined;
}

const TRACING = [HEADER.TRACEPARENT, HEADER.TRACESTATE] as const;

/** Headers that a run takes over from the event that starts it. */
export function headersFromEvent(event: HeaderReader): Headers {
  const cause = causeOfEvent(event);
  const correlationId = shortHeader(event, HEADER.CORRELATION_ID);
  const headers: Record<string, string> = cause ? { ...causeHeaders(cause) } : {};
  if (correlationId !== undefined) headers[HEADER.CORRELATION_ID] = correlationId;
  for (const name of TRACING) {
    const value = shortHeader(event, name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}
