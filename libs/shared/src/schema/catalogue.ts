import type { RunAddress } from '../names/subject.js';

/** A JSON Schema, draft 2020-12, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The `$comment` of an alternative that a worker accepts only out of leniency: a list of lists for a list, an object for a list of one.
 * A checker needs it, a type for those who write payloads does not.
 */
export const ALSO_TAKEN = 'taken, too';

/** What a worker says of a workflow that it serves, under the key `<workspace>.<workflow>` of the catalogue bucket. */
export interface CatalogueEntry extends RunAddress {
  readonly title?: string;
  readonly description?: string;
  /** Absent for a workflow that takes any JSON value. */
  readonly payload?: JsonSchema;
  readonly attempts: number;
  readonly timeoutMs: number;
  /** Whether `priority` has queues of its own. */
  readonly priorities: boolean;
}

export function catalogueKey({ workspace, workflow }: RunAddress): string {
  return `${workspace}.${workflow}`;
}

const decoder = new TextDecoder();

/**
 * The entry in a message of the bucket, or undefined for one that is none. What is of the wrong type is as if it were not there, except
 * for the payload: `checkableSchema` tells what of it is a schema.
 */
export function decodeCatalogueEntry(bytes: Uint8Array): CatalogueEntry | undefined {
  let entry: Partial<Record<keyof CatalogueEntry, unknown>>;
  try {
    entry = JSON.parse(decoder.decode(bytes)) as typeof entry;
  } catch {
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { workspace, workflow, title, description, payload, attempts, timeoutMs, priorities } = entry;
  if (typeof workspace !== 'string' || typeof workflow !== 'string') return undefined;
  return {
    workspace,
    workflow,
    ...(typeof title === 'string' ? { title } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(payload === undefined ? {} : { payload: payload as JsonSchema }),
    attempts: Number.isSafeInteger(attempts) ? (attempts as number) : 1,
    timeoutMs: Number.isSafeInteger(timeoutMs) ? (timeoutMs as number) : 0,
    priorities: priorities === true,
  };
}
