import { LoopstackError } from '../error.js';
import { isOutcome, statusOf, type RunEvent, type RunInfo } from '../message/event.js';
import type { RunAddress } from '../names/subject.js';

/** A command that waits. */
export interface QueuedCommand extends RunAddress {
  readonly runId: string;
  readonly userId?: string | undefined;
  /** 0 for a delayed one. */
  readonly sequence: number;
  readonly queuedAtMs: number;
}

/** A run whose last event is `event`. */
export function infoOf(runId: string, { workspace, workflow, event }: RunAddress & { readonly event: RunEvent }): RunInfo {
  const { attempt, at, sequence, userId, result, error, nextAttemptAt } = event;
  return {
    workspace,
    workflow,
    id: runId,
    status: statusOf(event),
    attempt,
    updatedAt: at,
    ...(sequence === undefined ? {} : { sequence }),
    ...(userId === undefined ? {} : { userId }),
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
  };
}

/** A run whose command is stored and that has no event yet. */
export function queuedInfo(command: QueuedCommand): RunInfo {
  const { workspace, workflow, runId, userId, sequence, queuedAtMs } = command;
  return {
    workspace,
    workflow,
    id: runId,
    status: 'queued',
    attempt: 0,
    queuedAt: new Date(queuedAtMs).toISOString(),
    ...(userId === undefined ? {} : { userId }),
    ...(sequence === 0 ? {} : { sequence }),
  };
}

/** What a run with this outcome gives to those who wait for it. @throws LoopstackError RUN_FAILED, RUN_CANCELED, RUN_EXPIRED */
export function resultOf(runId: string, event: RunEvent): unknown {
  switch (event.type) {
    case 'succeeded':
      return event.result;
    case 'canceled':
      throw new LoopstackError('RUN_CANCELED', { runId });
    case 'expired':
      throw new LoopstackError('RUN_EXPIRED', { runId });
    default: {
      const { error } = event;
      throw new LoopstackError(
        'RUN_FAILED',
        { runId, reason: error?.message ?? 'no reason was recorded', error },
        { errors: error?.errors ?? [] },
      );
    }
  }
}

/**
 * The event that ends a run as canceled; undefined where it is canceled already.
 * @param last its last event, if it has one
 * @param at ISO 8601
 * @throws LoopstackError RUN_FINISHED
 */
export function cancellation(info: RunInfo, last: RunEvent | undefined, at: string): RunEvent | undefined {
  const { id: runId, status, attempt, sequence, userId } = info;
  if (status === 'canceled') return undefined;
  if (last && isOutcome(last.type)) throw new LoopstackError('RUN_FINISHED', { runId, status });
  return {
    type: 'canceled',
    at,
    attempt,
    ...(sequence === undefined ? {} : { sequence }),
    ...(userId === undefined ? {} : { userId }),
    ...(last?.content === undefined ? {} : { content: last.content }),
  };
}
