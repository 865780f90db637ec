import {
  HEADER,
  eventRunId,
  printable,
  type DeadLetterFacts,
  type DeadReason,
  type LoopstackError,
  type RecordedError,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared';
import { causeDepthOf } from '../events/cause.js';
import type { StoredEvent } from '../events/feeds.js';
import { commandAsStored, type Delivery, type PreparedRun } from './prepare.js';
import { deadReasonOf } from './recorded-error.js';
import type { Redactor } from '../declare/redact.js';

/** On whose behalf a run is, and what it passes on to what its outcome starts. */
export function originOf({ command, delivery: { headers } }: PreparedRun): Pick<RunEvent, 'userId' | 'correlationId' | 'causeDepth'> {
  const correlationId = headers.get(HEADER.CORRELATION_ID);
  const causeDepth = causeDepthOf(headers.get(HEADER.CAUSE_DEPTH));
  return {
    ...(command ? { userId: command.userId } : {}),
    ...(correlationId === undefined ? {} : { correlationId: printable(correlationId, 256) }),
    ...(causeDepth === 0 ? {} : { causeDepth }),
  };
}

/** What the dead letter of a failed run says. */
export function factsOfRun(
  { runId, command, delivery: { sequence, subject } }: PreparedRun,
  attempts: number,
  error: RecordedError | undefined,
  at: { readonly stream: string; readonly time: string },
): DeadLetterFacts {
  return {
    reason: deadReasonOf(error),
    code: error?.code ?? 'HANDLER_FAILED',
    message: error?.message ?? '',
    ...(error?.errors ? { errors: error.errors } : {}),
    attempts,
    runId,
    ...(command ? { userId: command.userId } : {}),
    stream: at.stream,
    sequence,
    subject,
    time: at.time,
  };
}

/** What the dead letter of a command says that no workflow takes. */
export function factsOfCommand(
  { subject, sequence }: Pick<Delivery, 'subject' | 'sequence'>,
  { runId, userId }: { readonly runId: string; readonly userId?: string | undefined },
  reason: DeadReason,
  { code, message }: LoopstackError,
  at: { readonly stream: string; readonly time: string },
): DeadLetterFacts {
  const user = userId === undefined ? {} : { userId };
  return { reason, code, message, attempts: 0, runId, ...user, stream: at.stream, sequence, subject, time: at.time };
}

/** What the dead letter of an event says that a binding could not use. */
export function factsOfEvent(
  { workspace, workflow }: RunAddress,
  event: StoredEvent,
  reason: 'invalid' | 'failed',
  error: LoopstackError,
  at: { readonly binding: string; readonly time: string },
): DeadLetterFacts {
  const { stream, sequence, subject, timeMs, deliveries } = event;
  return {
    reason,
    code: error.code,
    message: error.message,
    ...(error.errors.length > 0 ? { errors: error.errors } : {}),
    attempts: deliveries,
    runId: eventRunId(workspace, workflow, stream, sequence, timeMs),
    binding: at.binding,
    stream,
    sequence,
    subject,
    time: at.time,
  };
}

/** Body of a dead letter that keeps values out; undefined: the body itself. One whose payload cannot be read has none. */
export function redactedBody(redactor: Redactor | undefined, run: PreparedRun): Uint8Array | undefined {
  if (!redactor?.masksBodies) return undefined;
  const command = commandAsStored(run);
  if (!command) return new Uint8Array();
  return Buffer.from(JSON.stringify({ payload: redactor.payload(command.payload), userId: command.userId }));
}
