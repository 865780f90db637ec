import { getMetadataStorage, ValidationTypes } from 'class-validator';
import { TransformationType } from 'class-transformer';
import type { TypeMetadata } from 'class-transformer';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { attempt, transformStorage } from './libraries.js';
import { MAX_ITEMS } from './limits.js';
import { instanceOf } from './metadata.js';
import { BUILT_IN_RULES, StaticArguments } from './rules.js';
import type { Rule } from './rules.js';

export type Class<T extends object = object> = new () => T;
export type Conversion = typeof String | typeof Number | typeof Boolean | typeof Date;

/**
 * What becomes of fields that a payload class does not declare, in nested classes, too. Names that every object or the class has
 * (`constructor`, a method) are refused in any case.
 */
export type UnknownFields = 'refuse' | 'strip' | 'keep';

export interface FieldPlan {
  readonly name: string;
  readonly optional: boolean;
  /** In the order in which class-validator runs them: `isDefined` first, then as declared. */
  readonly rules: readonly Rule[];
  readonly nested: ValidationMetadata | undefined;
  /** What `@Type` makes of an object (or of each item of an array). */
  readonly type: ClassPlan | Conversion | undefined;
  /** The `@ArrayMaxSize` of the property. */
  readonly sizeRule: Rule | undefined;
  /** Length of an array up to which its items are looked at. */
  readonly maxItems: number;
}

export interface ClassPlan {
  readonly cls: Class;
  readonly fields: ReadonlyMap<string, FieldPlan>;
}

export interface Plan {
  readonly root: ClassPlan;
  /** What only the libraries can do, one sentence each. Empty: the whole graph of classes can be compiled. */
  readonly obstacles: readonly string[];
}

const CONVERSIONS: readonly unknown[] = [String, Number, Boolean, Date];

/** Keys that class-transformer drops without a word: assigning them would reach what every object inherits. */
export const INHERITED_KEYS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

/** Reads the decorators of a class and of every class that its properties reach. */
export function planOf(cls: Class): Plan {
  const reader = new PlanReader();
  const root = reader.read(cls);
  return { root, obstacles: reader.obstacles };
}

class PlanReader {
  readonly obstacles: string[] = [];
  readonly #plans = new Map<Class, ClassPlan>();
  readonly #validation = getMetadataStorage();

  constructor() {
    if (!transformStorage) this.obstacles.push('the metadata of class-transformer cannot be reached');
  }

  read(cls: Class, parent?: Class): ClassPlan {
    const known = this.#plans.get(cls);
    if (known) return known;
    const fields = new Map<string, FieldPlan>();
    const plan: ClassPlan = { cls, fields };
    this.#plans.set(cls, plan);

    // As the executor asks: a nested object is looked up with its parent's name as a schema name, without groups.
    const metadatas = this.#validation.getTargetValidationMetadatas(cls, parent?.name as string, false, false);
    if (metadatas.length === 0) this.#obstacle(cls, 'has no validation decorators');
    if (metadatas.some((metadata) => typeof metadata.target === 'string')) this.#obstacle(cls, 'is validated by a registered schema');
    for (const [name, group] of Object.entries(this.#validation.groupByPropertyName(metadatas))) {
      fields.set(name, this.#field(cls, name, group));
    }
    this.#checkTransformer(cls, plan);
    this.#checkShape(cls, plan);
    return plan;
  }

  #field(cls: Class, name: string, group: readonly ValidationMetadata[]): FieldPlan {
    const of = (type: string) => group.filter((metadata) => metadata.type === type);
    const nested = of(ValidationTypes.NESTED_VALIDATION);
    const conditions = of(ValidationTypes.CONDITIONAL_VALIDATION);
    const checks = [...of(ValidationTypes.IS_DEFINED), ...of(ValidationTypes.CUSTOM_VALIDATION)];
    const rules = checks.map((metadata) => this.#rule(cls, metadata)).filter((rule) => rule !== undefined);
    const type = this.#type(cls, name);

    if (of(ValidationTypes.PROMISE_VALIDATION).length > 0) this.#obstacle(cls, `${name} is a promise`);
    if (conditions.some(({ name: condition }) => condition !== 'isOptional')) this.#obstacle(cls, `${name} is validated conditionally`);
    if (group.some(({ validateIf }) => validateIf)) this.#obstacle(cls, `${name} is validated conditionally`);
    if (nested.length > 1) this.#obstacle(cls, `${name} is nested more than once`);
    const typed = type !== undefined && 'cls' in type;
    if (nested.length > 0 !== typed) this.#obstacle(cls, `${name} has one of @Type and @ValidateNested without the other`);

    const sizeRule = rules.find((rule) => rule.name === 'arrayMaxSize' && !rule.each);
    const declared: unknown = sizeRule?.metadata.constraints[0];
    return {
      name,
      optional: conditions.length > 0,
      rules,
      nested: nested[0],
      type,
      sizeRule,
      maxItems: typeof declared === 'number' ? Math.max(declared, MAX_ITEMS) : MAX_ITEMS,
    };
  }

  #rule(cls: Class, metadata: ValidationMetadata): Rule | undefined {
    const [constraint, ...more] = this.#validation.getTargetValidatorConstraints(metadata.constraintCls);
    if (!constraint || more.length > 0 || constraint.async || !BUILT_IN_RULES.has(constraint.name)) {
      this.#obstacle(cls, `${metadata.propertyName} has a custom validator`);
      return undefined;
    }
    const args = new StaticArguments(cls.name, metadata);
    return { name: constraint.name, each: metadata.each, constraint: instanceOf(constraint), args, metadata };
  }

  #type(cls: Class, name: string): FieldPlan['type'] {
    const metadata = transformStorage?.findTypeMetadata(cls, name);
    if (!metadata) return undefined;
    const target = typeNamedBy(metadata);
    if (target === undefined) this.#obstacle(cls, `${name} has a type that depends on the value`);
    if (target === undefined || target === Object) return undefined;
    if (!isPlainContainer(metadata.reflectedType, target)) this.#obstacle(cls, `${name} is a collection`);
    if (CONVERSIONS.includes(target)) return target as Conversion;
    return this.read(target as Class, cls);
  }

  #checkTransformer(cls: Class, plan: ClassPlan): void {
    if (!transformStorage) return;
    const named = transformStorage.getExposedMetadatas(cls).length + transformStorage.getExcludedMetadatas(cls).length;
    if (named > 0 || transformStorage.getStrategy(cls) !== 'none') this.#obstacle(cls, 'has @Expose or @Exclude');
    for (const name of plan.fields.keys()) {
      const transforms = transformStorage.findTransformMetadatas(cls, name, TransformationType.PLAIN_TO_CLASS);
      if (transforms.length > 0) this.#obstacle(cls, `${name} has a @Transform`);
    }
  }

  /** class-transformer skips or redirects what the prototype already has; class-validator refuses undecorated defaults. */
  #checkShape(cls: Class, plan: ClassPlan): void {
    const prototype = cls.prototype as object;
    const instance = attempt(() => new cls());
    if (instance === undefined || Object.getPrototypeOf(instance) !== prototype || prototype.constructor !== cls) {
      return this.#obstacle(cls, 'cannot be constructed without arguments');
    }
    for (const name of Object.keys(instance)) {
      if (!plan.fields.has(name)) this.#obstacle(cls, `${name} has a default but no decorator`);
      if (typeof (instance as Record<string, unknown>)[name] === 'function') this.#obstacle(cls, `${name} is a function`);
    }
    for (const name of plan.fields.keys()) {
      if (name in prototype || name === 'then') this.#obstacle(cls, `${name} is an accessor or a method`);
    }
    if ('push' in instance || 'then' in instance) this.#obstacle(cls, 'looks like an array or a promise');
  }

  #obstacle(cls: Class, text: string): void {
    this.obstacles.push(`${cls.name}: ${text}`);
  }
}

function typeNamedBy(metadata: TypeMetadata): unknown {
  // A type function with a parameter, or a discriminator, chooses by the value.
  if (!metadata.typeFunction || metadata.typeFunction.length > 0 || metadata.options?.discriminator) return undefined;
  const target = attempt(() => metadata.typeFunction());
  return typeof target === 'function' && Object.hasOwn(target, 'prototype') ? target : undefined;
}

/** Whether arrays become plain arrays: class-transformer makes a Set, Map or subclass when that is the declared type. */
function isPlainContainer(reflected: unknown, target: unknown): boolean {
  return [undefined, Object, Array, target, ...CONVERSIONS].includes(reflected);
}
