import type { JsonSchema } from '@loopstack/shared';
import type { Type } from '@nestjs/common';
import { validationMetadatasToSchemas } from 'class-validator-jsonschema';
import { transformStorage } from './validation/libraries.js';
import type { UnknownFields } from './validation/plan.js';

type Mutable = Record<string, unknown>;

const REF = '#/$defs/';

/**
 * The JSON Schema of a payload class, made from its class-validator and class-transformer metadata. Classes that it
 * refers to are among its `$defs`. Properties that the class does not have are refused where the worker refuses them.
 */
export function payloadSchema(type: Type<object>, unknownFields: UnknownFields = 'refuse'): JsonSchema {
  const open = unknownFields !== 'refuse';
  const schemas = validationMetadatasToSchemas({
    refPointerPrefix: REF,
    ...(transformStorage ? { classTransformerMetadataStorage: transformStorage } : {}),
  }) as Record<string, Mutable>;
  const own = schemas[type.name] ?? { type: 'object', properties: {} };
  const $defs: Mutable = {};
  collect(own, schemas, $defs, open);
  const root = closed(own, open);
  return Object.keys($defs).length === 0
    ? { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root }
    : { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root, $defs };
}

/** An object schema that refuses what it does not name, unless it is open; `@IsOptional` takes null as well as absence. */
function closed(schema: Mutable, open: boolean): Mutable {
  if (schema['type'] !== 'object' || schema['properties'] === undefined) return schema;
  const required = (schema['required'] as readonly string[] | undefined) ?? [];
  const properties = Object.entries(schema['properties'] as Mutable).map(([name, property]) =>
    required.includes(name) ? [name, property] : [name, { anyOf: [property, { type: 'null' }] }],
  );
  return { ...schema, properties: Object.fromEntries(properties), ...(open ? {} : { additionalProperties: false }) };
}

/** The definitions that a schema refers to, and those that they refer to. */
function collect(node: unknown, schemas: Readonly<Record<string, Mutable>>, found: Mutable, open: boolean): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === '$ref' && typeof value === 'string' && value.startsWith(REF)) {
      const name = value.slice(REF.length);
      const schema = schemas[name];
      if (found[name] !== undefined || !schema) continue;
      found[name] = closed(schema, open);
      collect(schema, schemas, found, open);
    } else {
      collect(value, schemas, found, open);
    }
  }
}
