import { assertAddress, type CatalogueEntry, type JsonSchema, refusedOption } from '@loopstack/shared/contract';

/** The schema of a payload, apart from the definitions that it refers to. */
export interface Payload {
  readonly schema: JsonSchema;
  readonly definitions: Readonly<Record<string, JsonSchema>>;
  /** Whether `{}`, which an absent payload stands for, is refused. */
  readonly needed: boolean;
}

const REF = '#/$defs/';
/** Keywords whose value maps names to schemas. */
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'dependentSchemas']);
/** Keywords whose value is data. */
const DATA = new Set(['const', 'default', 'enum', 'examples', 'required']);

type Fields = Readonly<Record<string, unknown>>;

/** The workflows in one order. @throws LoopstackError NAME_INVALID: names become subjects, file names and source */
export function sorted(entries: readonly CatalogueEntry[]): readonly CatalogueEntry[] {
  for (const entry of entries) assertAddress(entry);
  const key = ({ workspace, workflow }: CatalogueEntry): string => `${workspace}.${workflow}`;
  return [...entries].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/**
 * The payload of a workflow, its references rewritten. The catalogue is in a bucket that others may write, so a
 * reference to anything but a definition of its own is refused: tools would follow it to a file or a host.
 * @param refOf where a definition will be
 * @throws LoopstackError OPTION_INVALID
 */
export function payloadOf(entry: CatalogueEntry, refOf: (definition: string) => string = (definition) => REF + definition): Payload {
  if (!entry.payload) return { schema: {}, definitions: {}, needed: false };
  const rewrite = (ref: unknown): string => {
    if (typeof ref === 'string' && ref.startsWith(REF)) return refOf(ref.slice(REF.length));
    throw refusedOption(
      `payload of ${entry.workspace}.${entry.workflow}`,
      `references to ${REF}…`,
      typeof ref === 'string' ? ref.slice(0, 80) : typeof ref,
    );
  };
  const { $schema: _dialect, $defs = {}, ...schema } = mapped(entry.payload, rewrite) as Fields;
  const { required } = schema;
  return { schema, definitions: $defs as Payload['definitions'], needed: Array.isArray(required) && required.length > 0 };
}

function mapped(schema: unknown, rewrite: (ref: unknown) => string): unknown {
  if (Array.isArray(schema)) return schema.map((one) => mapped(one, rewrite));
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([keyword, value]: [string, unknown]) => {
      if (keyword === '$ref') return [[keyword, rewrite(value)]];
      // Extensions of the generator of types that put text into its output as it is.
      if (keyword === 'tsType' || keyword === 'tsEnumNames' || keyword === '$dynamicRef') return [];
      if (DATA.has(keyword)) return [[keyword, value]];
      if (MAPS.has(keyword) && typeof value === 'object' && value !== null)
        return [[keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mapped(one, rewrite)]))]];
      return [[keyword, mapped(value, rewrite)]];
    }),
  );
}
