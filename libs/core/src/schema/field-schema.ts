import { ValidationTypes } from 'class-validator';
import { TransformationType } from 'class-transformer';
import type { TypeMetadata } from 'class-transformer';
import type { MetadataStorage } from 'class-transformer/types/MetadataStorage.js';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { ALSO_TAKEN, type JsonSchema } from '@loopstack/shared';
import { attempt } from '../validation/libraries.js';
import type { Class } from '../validation/plan.js';
import { argumentsFor, checkOf, isGenuine } from './genuine.js';
import { meaningOf } from './rule-verdicts.js';
import { ANY, both, each, JSON_TYPES, opened, schemaOf, type JsonTypeName, type Verdict } from './verdict.js';

/** The schema of an object of a class; `apart`: a property that may be there, or be missing, all the same. */
export type SchemaOfClass = (cls: Class, apart?: string) => JsonSchema;

export interface FieldSchema {
  readonly schema: JsonSchema;
  /** Whether the worker refuses a value that is not there, undefined. */
  readonly needed: boolean;
}

/** What `plainToInstance` makes of a value before it is checked. */
interface Conversion {
  /** Types whose values come out as others, or as nothing that is known here. */
  readonly changed: readonly JsonTypeName[];
  /** The same of items of arrays, in arrays of arrays, too. */
  readonly items: readonly JsonTypeName[];
  /** Objects become instances of a class, which may have other properties. */
  readonly instances: boolean;
  /** What objects must be for `@ValidateNested`; undefined where that is not known. */
  readonly object: JsonSchema | undefined;
  /** What is not said here. */
  readonly left?: string;
}

const PLAIN: Conversion = { changed: [], items: [], instances: false, object: undefined };
const UNKNOWN = (left: string): Conversion => ({ changed: JSON_TYPES, items: JSON_TYPES, instances: true, object: undefined, left });

/** `String`, `Number`, `Boolean`: null stays, and what is of the type already; arrays stay arrays. */
function convertedTo(target: { readonly name: string }, own?: JsonTypeName): Conversion {
  const items = JSON_TYPES.filter((type) => type !== own && type !== 'null');
  return { changed: items.filter((type) => type !== 'array'), items, instances: true, object: undefined, left: `@Type(${target.name})` };
}

const instancesOf = (object: JsonSchema): Conversion => ({ changed: [], items: [], instances: true, object });

/** Reads the decorators of one property. */
export class FieldReader {
  readonly #cls: Class;
  readonly #name: string;
  readonly #metadatas: readonly ValidationMetadata[];
  readonly #transformer: MetadataStorage;
  readonly #schemaOfClass: SchemaOfClass;

  constructor(
    cls: Class,
    name: string,
    metadatas: readonly ValidationMetadata[],
    transformer: MetadataStorage,
    schemaOfClass: SchemaOfClass,
  ) {
    this.#cls = cls;
    this.#name = name;
    this.#metadatas = metadatas;
    this.#transformer = transformer;
    this.#schemaOfClass = schemaOfClass;
  }

  read(): FieldSchema {
    const left = new Set<string>();
    const of = (type: string): readonly ValidationMetadata[] => this.#metadatas.filter((metadata) => metadata.type === type);
    const conditions = of(ValidationTypes.CONDITIONAL_VALIDATION);
    if (conditions.some(({ name }) => name !== 'isOptional')) return unsaid(['@ValidateIf']);
    if (of(ValidationTypes.PROMISE_VALIDATION).length > 0) return unsaid(['@ValidatePromise']);
    const transforms = this.#transformer.findTransformMetadatas(this.#cls, this.#name, TransformationType.PLAIN_TO_CLASS);
    if (transforms.length > 0) return unsaid(['@Transform']);

    const conversion = this.#conversion();
    if (conversion.left !== undefined) left.add(conversion.left);
    let taken = ANY;
    let needed = false;
    for (const metadata of [...of(ValidationTypes.IS_DEFINED), ...of(ValidationTypes.CUSTOM_VALIDATION)]) {
      const rule = this.#rule(metadata, left);
      if (!rule) continue;
      taken = both(
        taken,
        opened(metadata.each ? itemwise(rule.verdict, conversion) : shallow(rule.verdict, conversion), conversion.changed),
      );
      needed ||= rule.refusesUndefined;
    }
    const inside = of(ValidationTypes.NESTED_VALIDATION);
    if (inside.length > 0)
      taken = both(
        taken,
        nested(
          conversion,
          inside.some((metadata) => metadata.each),
        ),
      );
    const optional = conditions.length > 0;
    if (optional) taken = opened(taken, ['null']);
    return { schema: commented(schemaOf(taken), [...left]), needed: needed && !optional };
  }

  /** What a rule takes, where that is known. */
  #rule(metadata: ValidationMetadata, left: Set<string>): { readonly verdict: Verdict; readonly refusesUndefined: boolean } | undefined {
    const check = checkOf(metadata);
    const meaning =
      check && !metadata.validateIf && isGenuine(check, metadata) ? meaningOf(check.name, metadata.constraints ?? []) : undefined;
    if (!check || !meaning) {
      left.add(nameOf(metadata, check?.name));
      return undefined;
    }
    if (!meaning.exact) left.add(check.name);
    const accepts = attempt(() => Boolean(check.constraint.validate(undefined, argumentsFor(metadata, undefined))));
    return { verdict: meaning.verdict, refusesUndefined: accepts !== true };
  }

  #conversion(): Conversion {
    const metadata = this.#transformer.findTypeMetadata(this.#cls, this.#name);
    if (!metadata) return PLAIN;
    if (metadata.options?.discriminator) return this.#discriminated(metadata);
    const target = targetOf(metadata);
    if (target === undefined || !isPlainContainer(metadata.reflectedType as unknown, target)) return UNKNOWN('@Type');
    if (target === Object) return PLAIN;
    if (target === String) return convertedTo(String, 'string');
    if (target === Number) return convertedTo(Number, 'number');
    if (target === Boolean) return convertedTo(Boolean, 'boolean');
    if (target === Date) return convertedTo(Date);
    // An array of a property that is declared as such a class would become one.
    if (!isPayloadClass(target) || attempt(() => 'push' in new target()) === true) return UNKNOWN('@Type');
    return instancesOf(this.#schemaOfClass(target));
  }

  /** `@Type` with a discriminator: an object of one of the classes, or of the class that the type function names. */
  #discriminated(metadata: TypeMetadata): Conversion {
    const { property, subTypes } = metadata.options?.discriminator ?? {};
    const base = targetOf(metadata);
    const classes = [...(subTypes ?? []).map(({ value }) => value as unknown), base];
    if (!property || base === undefined || !isPlainContainer(metadata.reflectedType as unknown, base) || !classes.every(isPayloadClass))
      return UNKNOWN('@Type with a discriminator');
    const apart = metadata.options?.keepDiscriminatorProperty === true ? undefined : property;
    const schemas = [...new Set(classes)].map((cls) => this.#schemaOfClass(cls, apart));
    return instancesOf(schemas.length === 1 ? (schemas[0] as JsonSchema) : { anyOf: schemas });
  }
}

/** A rule for the value itself. Of what is converted inside, only the kind and the number of items count. */
function shallow(rule: Verdict, { items, instances }: Conversion): Verdict {
  const { array, object } = rule;
  if (!instances && items.length === 0) return rule;
  const sizes = array?.schemas.filter((schema) => Object.keys(schema).every((keyword) => keyword === 'minItems' || keyword === 'maxItems'));
  return { ...rule, array: sizes && { schemas: sizes }, object: object && { schemas: [] } };
}

/** A rule for each item of an array; another value is checked itself. */
function itemwise(rule: Verdict, conversion: Conversion): Verdict {
  const item = schemaOf(opened(shallow(rule, conversion), conversion.items));
  return { ...shallow(rule, conversion), array: { schemas: Object.keys(item).length === 0 ? [] : [{ items: item }] } };
}

/** `@ValidateNested` goes into objects, and into arrays of arrays of them. `list`: objects are not what is meant. */
function nested({ object, changed }: Conversion, list: boolean): Verdict {
  const also = (is: boolean): JsonSchema => (is ? { $comment: ALSO_TAKEN } : {});
  const items = object ? { items: { anyOf: [object, { type: 'array', ...also(true) }] } } : {};
  return each((type) => {
    if (type === 'object') return { schemas: object ? [{ ...object, ...also(list) }] : [] };
    if (type === 'array') return { schemas: object ? [{ ...items, ...also(!list) }] : [] };
    return type !== 'null' && changed.includes(type) ? { schemas: [] } : undefined;
  });
}

function targetOf(metadata: TypeMetadata): unknown {
  // A type function with a parameter chooses by the value.
  if (!metadata.typeFunction || metadata.typeFunction.length > 0) return undefined;
  return attempt(() => metadata.typeFunction() as unknown);
}

/** Whether arrays stay plain arrays: class-transformer makes a Set, Map or subclass where that is the declared type. */
function isPlainContainer(reflected: unknown, target: unknown): boolean {
  return [undefined, Object, Array, target, String, Number, Boolean, Date].includes(reflected);
}

/** The classes of the language. Other globals stay unread: Node.js 26 warns about \`localStorage\` as soon as it is read. */
const CLASS_NAMES = Object.getOwnPropertyNames(globalThis).filter((name) => /^[A-Z]/.test(name));
const BUILT_IN = new Set<unknown>(CLASS_NAMES.map((name) => (globalThis as Record<string, unknown>)[name]));

/** A class of the application that makes plain objects, not arrays, maps or what else the language has. */
function isPayloadClass(target: unknown): target is Class {
  if (typeof target !== 'function' || !Object.hasOwn(target, 'prototype') || BUILT_IN.has(target)) return false;
  for (
    let parent = target as { prototype?: unknown };
    parent !== Function.prototype;
    parent = Object.getPrototypeOf(parent) as typeof parent
  ) {
    if (typeof parent !== 'function' || BUILT_IN.has(parent)) return false;
  }
  return true;
}

function nameOf(metadata: ValidationMetadata, rule: string | undefined): string {
  if (metadata.validateIf) return `${rule ?? metadata.name ?? 'a rule'} with validateIf`;
  const { name } = (metadata.constraintCls ?? {}) as { name?: string };
  return (metadata.name ?? rule ?? name) || 'a rule';
}

function unsaid(left: readonly string[]): FieldSchema {
  return { schema: commented({}, left), needed: false };
}

/** Names what only the worker checks. */
export function commented(schema: JsonSchema, left: readonly string[]): JsonSchema {
  if (left.length === 0) return schema;
  const $comment = `left to the worker: ${left.join(', ')}`;
  // Beside a reference older drafts see nothing.
  return '$ref' in schema ? { allOf: [schema], $comment } : { ...schema, $comment };
}
