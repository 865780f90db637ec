import { LoopstackError, describeLoss, lossInJson, printable } from '@loopstack/shared';
import type { RegisteredWorkflow } from '../declare/registry.js';
import type { Outcome } from './settle.js';
import { textOf } from './thrown.js';

/** A result that cannot be recorded fails the run for good: its effects are done, and another attempt would end the same way. */
export function outcomeOf({ workflow, options }: RegisteredWorkflow, result: unknown): Outcome {
  const { record, resultLimitBytes: limit } = options;
  if (record === 'none' || result === undefined) return { kind: 'succeeded', json: undefined };
  try {
    const json = JSON.stringify(result) as string | undefined;
    const loss = lossInJson(result);
    if (loss) return unserializable(workflow, describeLoss(loss, 'the result'));
    const bytes = json === undefined ? 0 : json.length * 3 > limit ? Buffer.byteLength(json) : json.length;
    if (bytes <= limit) return { kind: 'succeeded', json };
    return { kind: 'failed', retryable: false, error: new LoopstackError('RESULT_TOO_LARGE', { workflow, bytes, limit }) };
  } catch (cause) {
    return unserializable(workflow, printable(textOf(cause, 'message') ?? 'its toJSON failed'), cause);
  }
}

function unserializable(workflow: string, reason: string, cause?: unknown): Outcome {
  return { kind: 'failed', retryable: false, error: new LoopstackError('RESULT_UNSERIALIZABLE', { workflow, reason }, { cause }) };
}
