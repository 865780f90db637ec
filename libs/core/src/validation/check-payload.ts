import { LoopstackError, encodeJson, parseStrictJson, summarize } from '@loopstack/shared';
import type { PayloadValidator, Validated } from './payload-validator.js';

/**
 * Validates what a worker will read: the payload as JSON, not as the object that it is here.
 * @throws LoopstackError PAYLOAD_INVALID with field errors, PAYLOAD_UNSERIALIZABLE, BODY_TOO_DEEP, BODY_NOT_IJSON
 */
export async function checkPayload(validator: PayloadValidator, workflow: string, payload: unknown, maxDepth: number): Promise<void> {
  const bytes = encodeJson(payload ?? {}, 'PAYLOAD_UNSERIALIZABLE', {});
  assertValid(workflow, await validator.validate(parseStrictJson(bytes, maxDepth)));
}

/** @throws LoopstackError PAYLOAD_INVALID with field errors */
export function assertValid(workflow: string, validated: Validated<unknown>): void {
  if (validated.ok) return;
  const { errors } = validated;
  throw new LoopstackError('PAYLOAD_INVALID', { workflow, summary: summarize(errors) }, { errors });
}
