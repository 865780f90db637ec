import { printable, type DeadReason, type ErrorCode, type LoopstackError, type RecordedError } from '@loopstack/shared';
import { isA, textOf } from './thrown.js';

/** An error as an event records it. */
export function recordedError(error: LoopstackError): RecordedError {
  const { cause } = error;
  const name = (isA(cause, Error) && textOf(cause, 'name')) || error.name;
  return {
    code: error.code,
    name: printable(name, 100),
    message: printable(error.message, 1000),
    ...(error.errors.length > 0
      ? { errors: error.errors.slice(0, 20).map((e) => ({ ...e, path: printable(e.path, 200), message: printable(e.message, 300) })) }
      : {}),
  };
}

const REASON_OF: Partial<Record<ErrorCode, DeadReason>> = {
  HANDLER_TIMEOUT: 'timeout',
  WORKER_DIED: 'worker-died',
  UNTRUSTED: 'untrusted',
  RELAYED: 'untrusted',
  PAYLOAD_INVALID: 'invalid',
  COMMAND_INVALID: 'invalid',
  NAME_INVALID: 'invalid',
  CAUSE_TOO_DEEP: 'invalid',
  KEY_CONFLICT: 'invalid',
};

/** Why a run failed, from the error that its event recorded. */
export function deadReasonOf(error: RecordedError | undefined): DeadReason {
  const code = error?.code ?? 'HANDLER_FAILED';
  return code.startsWith('BODY_') ? 'invalid' : (REASON_OF[code] ?? 'failed');
}
