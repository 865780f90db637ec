import type { CatalogueEntry, JsonSchema } from '@loopstack/shared/contract';
import { payloadOf, sorted } from './payload.js';
import { commandBody } from './wire-schema.js';

/**
 * The JSON Schema (draft 2020-12) of each workflow's run command: the body in its plain form, `{ payload, userId }`.
 * Rules that JSON Schema cannot say (validators of the application's own) are left to the worker.
 * @returns by file name, `<workspace>.<workflow>.schema.json`
 * @throws LoopstackError NAME_INVALID, OPTION_INVALID for a catalogue that no worker has written
 */
export function jsonSchemas(entries: readonly CatalogueEntry[]): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(
    sorted(entries).map((entry) => {
      const { workspace, workflow, title, description } = entry;
      const { schema, definitions, needed } = payloadOf(entry);
      const body: JsonSchema = {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: title ?? `${workspace}.${workflow}`,
        ...(description === undefined ? {} : { description }),
        ...commandBody(schema, needed),
        ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions }),
      };
      return [`${workspace}.${workflow}.schema.json`, body];
    }),
  );
}
