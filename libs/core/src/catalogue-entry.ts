import type { CatalogueEntry } from '@loopstack/shared';
import { payloadSchema } from './payload-schema.js';
import type { RegisteredWorkflow } from './registry.js';

/** What a worker says of a workflow to those who have no class of it. */
export function catalogueEntry({ workspace, workflow, options }: RegisteredWorkflow): CatalogueEntry {
  const { title, description, payload, unknownFields, retry, timeoutMs, priorities } = options;
  return {
    workspace,
    workflow,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(payload === undefined ? {} : { payload: payloadSchema(payload, unknownFields) }),
    attempts: retry.attempts,
    timeoutMs,
    priorities,
  };
}
