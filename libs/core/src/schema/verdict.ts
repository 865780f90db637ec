import { ALSO_TAKEN, type JsonSchema } from '@loopstack/shared';

export const JSON_TYPES = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
export type JsonTypeName = (typeof JSON_TYPES)[number];

/** What a rule demands of values of one JSON type; no schemas: nothing. */
export interface Demand {
  /** Each of them must hold. They say nothing of values of other types. */
  readonly schemas: readonly JsonSchema[];
  /** The only values that pass. */
  readonly only?: readonly unknown[];
}

/** For each JSON type what is demanded of its values; `undefined`: none passes. */
export type Verdict = Readonly<Record<JsonTypeName, Demand | undefined>>;

const FREE: Demand = { schemas: [] };

/** Takes every value. */
export const ANY: Verdict = verdict(JSON_TYPES);

/** Takes values of some types, each with what it must hold. */
export function verdict(types: readonly JsonTypeName[], schema?: JsonSchema): Verdict {
  const demand = schema === undefined ? FREE : { schemas: [schema] };
  return each((type) => (types.includes(type) ? demand : undefined));
}

/** Takes some values and no other. All of them are null, booleans, finite numbers or strings. */
export function onlyValues(values: readonly unknown[]): Verdict {
  return each((type) => {
    const only = values.filter((value) => typeOf(value) === type);
    return only.length === 0 ? undefined : { schemas: [], only };
  });
}

/** Takes all values but some. */
export function exceptValues(values: readonly unknown[]): Verdict {
  return each((type) => {
    const others = values.filter((value) => typeOf(value) === type);
    if (others.length === 0) return FREE;
    return type === 'null' ? undefined : { schemas: [{ not: { enum: others } }] };
  });
}

/** Takes what both take. */
export function both(one: Verdict, other: Verdict): Verdict {
  return each((type) => {
    const [a, b] = [one[type], other[type]];
    if (!a || !b) return undefined;
    const schemas = [...a.schemas, ...b.schemas.filter((schema) => !a.schemas.some((known) => same(known, schema)))];
    const only = a.only && b.only ? a.only.filter((value) => b.only?.includes(value)) : (a.only ?? b.only);
    if (only?.length === 0) return undefined;
    return only ? { schemas, only } : { schemas };
  });
}

/** Takes more: all values of these types. */
export function opened(from: Verdict, types: readonly JsonTypeName[]): Verdict {
  return each((type) => (types.includes(type) ? FREE : from[type]));
}

export function each(demandOf: (type: JsonTypeName) => Demand | undefined): Verdict {
  return Object.fromEntries(JSON_TYPES.map((type) => [type, demandOf(type)])) as unknown as Verdict;
}

/** What JSON has as a value, or undefined. */
export function typeOf(value: unknown): 'null' | 'boolean' | 'number' | 'string' | undefined {
  if (value === null) return 'null';
  if (typeof value === 'boolean' || typeof value === 'string') return typeof value as 'boolean' | 'string';
  return typeof value === 'number' && Number.isFinite(value) ? 'number' : undefined;
}

/** The verdict as a JSON Schema; of a verdict that takes nothing one that takes all: the worker says it better. */
export function schemaOf(from: Verdict): JsonSchema {
  const taken = JSON_TYPES.filter((type) => from[type]);
  if (taken.length === 0 || (taken.length === JSON_TYPES.length && taken.every((type) => isFree(from[type] as Demand)))) return {};
  // One schema for the types whose keywords leave each other alone, and one for each other type.
  const together = taken.filter((type) => !from[type]?.only && !(type === 'object' && from.object?.schemas.some(isOfClass)));
  const apart = taken.filter((type) => !together.includes(type));
  const listed = apart.filter((type) => from[type]?.only && from[type]?.schemas.length === 0);
  const alternatives = [
    ...(together.length === 0 ? [] : [ofTypes(together, from)]),
    ...(listed.length === 0 ? [] : [enumOf(listed, from)]),
    ...apart.filter((type) => !listed.includes(type)).map((type) => ofTypes([type], from)),
  ];
  const [one, ...more] = alternatives;
  return one && more.length === 0 ? meant(one) : { anyOf: alternatives };
}

/** What is the only alternative is what is meant. */
function meant(schema: JsonSchema): JsonSchema {
  const { $comment, ...rest } = schema;
  return $comment === ALSO_TAKEN ? rest : schema;
}

function enumOf(types: readonly JsonTypeName[], from: Verdict): JsonSchema {
  const values = types.flatMap((type) => from[type]?.only ?? []);
  return { ...typeKeyword(types, from), enum: values };
}

function ofTypes(types: readonly JsonTypeName[], from: Verdict): JsonSchema {
  const demands = types.map((type) => from[type] as Demand);
  const only = demands.flatMap((demand) => demand.only ?? []);
  const schemas = demands
    .flatMap((demand) => demand.schemas)
    .filter((schema, index, all) => all.findIndex((one) => same(one, schema)) === index);
  const [first, ...more] = schemas;
  // A reference stands alone: older drafts ignore what is beside it.
  if (first && '$ref' in first && more.length === 0) return first;
  const list = only.length > 0 ? { enum: only } : {};
  return merged([{ ...typeKeyword(types, from), ...list }, ...schemas]);
}

function typeKeyword(types: readonly JsonTypeName[], from: Verdict): JsonSchema {
  if (types.length === JSON_TYPES.length) return {};
  const integer = from.number?.schemas.some((schema) => schema['type'] === 'integer') === true;
  const names = types.map((type) => (type === 'number' && integer ? 'integer' : type));
  // Null comes last, as people write it.
  const ordered = [...names.filter((name) => name !== 'null'), ...names.filter((name) => name === 'null')];
  return { type: ordered.length === 1 ? ordered[0] : ordered };
}

/** All of the schemas as one: keywords that meet go into `allOf`. */
function merged(schemas: readonly JsonSchema[]): JsonSchema {
  const all: Record<string, unknown> = {};
  const apart: JsonSchema[] = [];
  for (const schema of schemas) {
    const { type, ...keywords } = schema;
    if (all['type'] === undefined && type !== undefined && schema === schemas[0]) all['type'] = type;
    if (Object.keys(keywords).some((keyword) => keyword in all || keyword === '$ref')) apart.push(keywords);
    else Object.assign(all, keywords);
  }
  return apart.length === 0 ? all : { ...all, allOf: apart };
}

/** Keywords of an object that are wrong for other types. */
const isOfClass = (schema: JsonSchema): boolean => '$ref' in schema || 'anyOf' in schema;

const isFree = (demand: Demand): boolean => demand.schemas.length === 0 && demand.only === undefined;

const same = (a: JsonSchema, b: JsonSchema): boolean => JSON.stringify(a) === JSON.stringify(b);
