import type { CatalogueEntry, Contract, JsonSchema } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { payloadSchema } from '../schema/payload-schema.js';
import type { RegisteredWorkflow } from './registry.js';

const schemas = new WeakMap<RegisteredWorkflow, JsonSchema>();

/** The schema of a workflow's payload, made once. */
function schemaOf(workflow: RegisteredWorkflow): JsonSchema | undefined {
  const { payload, unknownFields } = workflow.options;
  if (payload === undefined) return undefined;
  const known = schemas.get(workflow) ?? made(workflow, () => payloadSchema(payload, unknownFields));
  schemas.set(workflow, known);
  return known;
}

/** A class that cannot be read is no reason not to start: its payloads are checked by the worker alone. */
function made({ workspace, workflow }: RegisteredWorkflow, make: () => JsonSchema): JsonSchema {
  try {
    return make();
  } catch (error) {
    const reason = error instanceof Error ? error.message : typeof error;
    new Logger('Catalogue').warn(`The payload of ${workspace}.${workflow} has no schema, and is left to the worker: ${reason}`);
    return { $comment: 'left to the worker: everything' };
  }
}

/** A contract, and the id that equal ones have. */
export interface KnownContract extends Contract {
  readonly id: string;
}

/**
 * What this release accepts as the payload of a workflow.
 * @param release tells apart what schemas cannot: releases whose own validators differ
 */
export function contractOf(workflow: RegisteredWorkflow, release: string | undefined): KnownContract {
  const payload = schemaOf(workflow);
  const id = createHash('sha256')
    .update(JSON.stringify([payload ?? null, release ?? null]))
    .digest('base64url')
    .slice(0, 16);
  return { id, ...(payload === undefined ? {} : { payload }) };
}

/** What a worker says of a workflow to those who have no class of it. */
export function catalogueEntry(registered: RegisteredWorkflow): CatalogueEntry {
  const { workspace, workflow, options } = registered;
  const { title, description, retry, timeoutMs, priorities } = options;
  const payload = schemaOf(registered);
  return {
    workspace,
    workflow,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(payload === undefined ? {} : { payload }),
    attempts: retry.attempts,
    timeoutMs,
    priorities,
  };
}
