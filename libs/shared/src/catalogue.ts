import type { RunAddress } from './subject.js';

/** A JSON Schema, draft 2020-12, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The `$comment` of an alternative that a worker takes, and that nobody means: a list of lists for a list, an object for a list of one.
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

/** The entry in a message of the bucket, or undefined for one that is none. */
export function decodeCatalogueEntry(bytes: Uint8Array): CatalogueEntry | undefined {
  try {
    const entry = JSON.parse(decoder.decode(bytes)) as CatalogueEntry;
    return typeof entry === 'object' && entry !== null && typeof entry.workspace === 'string' && typeof entry.workflow === 'string'
      ? entry
      : undefined;
  } catch {
    return undefined;
  }
}
