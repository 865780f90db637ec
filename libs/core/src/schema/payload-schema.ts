import type { JsonSchema } from '@loopstack/shared';
import type { Type } from '@nestjs/common';
import { getMetadataStorage } from 'class-validator';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { attempt, transformStorage } from '../validation/libraries.js';
import type { Class, UnknownFields } from '../validation/plan.js';
import { exposureOf } from './exposure.js';
import { commented, FieldReader, type FieldSchema } from './field-schema.js';

const REF = '#/$defs/';

/**
 * The JSON Schema of a payload class, made from its class-validator and class-transformer metadata. What the worker accepts, it
 * accepts; what it cannot say, it leaves to the worker and names in a `$comment`. Classes that it refers to are among its `$defs`.
 * Properties that a class does not have are refused where the worker refuses them.
 */
export function payloadSchema(type: Type<object>, unknownFields: UnknownFields = 'refuse'): JsonSchema {
  const writer = new SchemaWriter(unknownFields === 'refuse');
  const root = writer.objectSchema(type);
  const $defs = writer.definitions();
  const head = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root };
  return Object.keys($defs).length === 0 ? head : { ...head, $defs };
}

class SchemaWriter {
  /** By class, and by the property that a discriminator takes out of it. */
  readonly #names = new Map<Class, Map<string | undefined, string>>();
  readonly #schemas = new Map<string, JsonSchema>();

  readonly #closed: boolean;

  constructor(closed: boolean) {
    this.#closed = closed;
  }

  definitions(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(this.#schemas);
  }

  /** A reference to the definition of a class. Two classes of one name have two. */
  readonly #reference = (cls: Class, apart?: string): JsonSchema => {
    const known = this.#names.get(cls) ?? new Map<string | undefined, string>();
    this.#names.set(cls, known);
    let name = known.get(apart);
    if (name === undefined) {
      // A static property of the class may hide its name.
      const given: unknown = cls.name;
      const wanted = (typeof given === 'string' ? given : '').replace(/[^\w.-]/g, '_') || 'Anonymous';
      name = wanted;
      for (let n = 2; this.#schemas.has(name); n++) name = `${wanted}_${n}`;
      known.set(apart, name);
      // Its place, for a class that refers to itself.
      this.#schemas.set(name, {});
      this.#schemas.set(name, this.objectSchema(cls, apart));
    }
    return { $ref: REF + name };
  };

  objectSchema(cls: Class, apart?: string): JsonSchema {
    const metadatas = attempt(() => getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false));
    if (!metadatas || !transformStorage) return commented({ type: 'object' }, ['everything']);
    const instance = attempt(() => new cls());
    if (instance !== undefined && !isPlainInstance(instance, cls)) return commented({ type: 'object' }, ['what the constructor makes']);
    const fields = this.#fields(cls, metadatas, instance);
    const { keys, dropped, dropsOthers } = exposureOf(transformStorage, cls, [...fields.keys()]);

    const properties = new Map<string, JsonSchema>();
    const required: string[] = [];
    const renamed: JsonSchema[] = [];
    for (const [property, field] of fields) {
      const sources = keys.get(property) ?? [];
      for (const key of sources) {
        // Of several keys any may be the one that counts.
        properties.set(key, sources.length === 1 ? field.schema : {});
        if (sources.length === 1 && field.needed) required.push(key);
      }
      const [name, ...more] = sources.filter((key) => key !== property);
      if (name !== undefined && more.length === 0 && sources.length === 2) renamed.push(underName(name, property, field));
    }
    for (const key of dropped) properties.set(key, commented({}, ['@Exclude']));
    if (apart !== undefined) properties.set(apart, {});
    const needed = required.filter((key) => key !== apart);
    return {
      type: 'object',
      properties: Object.fromEntries(properties),
      ...(needed.length > 0 ? { required: needed } : {}),
      ...(renamed.length > 0 ? { allOf: renamed } : {}),
      ...(this.#closed && !dropsOthers ? { additionalProperties: false } : {}),
    };
  }

  #fields(cls: Class, metadatas: readonly ValidationMetadata[], instance: object | undefined): ReadonlyMap<string, FieldSchema> {
    const fields = new Map<string, FieldSchema>();
    const grouped = new Map<string, ValidationMetadata[]>();
    for (const metadata of metadatas) grouped.set(metadata.propertyName, [...(grouped.get(metadata.propertyName) ?? []), metadata]);
    for (const [name, group] of grouped) {
      if (name in cls.prototype || hasAccessor(instance, name)) {
        fields.set(name, { schema: commented({}, ['an accessor or a method']), needed: false });
        continue;
      }
      const field = new FieldReader(cls, name, group, transformStorage as NonNullable<typeof transformStorage>, this.#reference).read();
      // A property that has a value from the start may be missing.
      const initial = instance === undefined || (instance as Record<string, unknown>)[name] !== undefined;
      fields.set(name, { schema: field.schema, needed: field.needed && !initial });
    }
    return fields;
  }
}

/** A property that `@Expose` reads under another name, unless the payload has its own name, too. */
function underName(name: string, property: string, { schema, needed }: FieldSchema): JsonSchema {
  return { anyOf: [{ properties: { [name]: schema }, ...(needed ? { required: [name] } : {}) }, { required: [property] }] };
}

/** Whether `new cls()` is what class-transformer and class-validator take it for. */
function isPlainInstance(instance: object, cls: Class): boolean {
  const prototype = cls.prototype as object;
  return (
    Object.getPrototypeOf(instance) === prototype &&
    prototype.constructor === cls &&
    typeof (instance as { then?: unknown }).then !== 'function'
  );
}

function hasAccessor(instance: object | undefined, name: string): boolean {
  const descriptor = instance && Object.getOwnPropertyDescriptor(instance, name);
  return descriptor !== undefined && (!('value' in descriptor) || typeof descriptor.value === 'function' || descriptor.writable === false);
}
