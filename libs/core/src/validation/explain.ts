import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import type { FieldError } from '@loopstack/shared';
import { fieldError, pathOfIndex, pathOfKey } from './field-error.js';
import { MAX_FIELD_ERRORS } from './limits.js';
import type { ClassPlan, FieldPlan } from './plan.js';
import { CLOSER_LOOK, messageOfNested, messageOfRule } from './rules.js';
import type { Rule } from './rules.js';

/**
 * The errors of an instance: the first MAX_FIELD_ERRORS of those that class-validator would give, in its order. Follows
 * its ValidationExecutor step by step, but ends when enough is known. Throws CLOSER_LOOK for an instance that holds
 * something that the plan does not describe. `strangers` says whether it may have properties that no class declares.
 */
export function explain(instance: object, plan: ClassPlan, strangers: boolean): readonly FieldError[] {
  const explainer = new Explainer(strangers);
  explainer.object(instance, plan);
  return explainer.errors;
}

class Explainer {
  readonly errors: FieldError[] = [];
  /** Names and indices on the way from the payload to where we are. */
  readonly #trail: (string | number)[] = [];

  readonly #strangers: boolean;

  constructor(strangers: boolean) {
    this.#strangers = strangers;
  }

  object(object: object, plan: ClassPlan): void {
    if (Object.getPrototypeOf(object) !== plan.cls.prototype) throw CLOSER_LOOK;
    const values = object as Record<string, unknown>;
    if (this.#strangers) {
      for (const key of Object.keys(object)) {
        if (plan.fields.has(key)) continue;
        this.#trail.push(key);
        this.#add('whitelistValidation', `property ${key} should not exist`, values[key]);
        this.#trail.pop();
      }
    }
    for (const field of plan.fields.values()) {
      const value = values[field.name];
      if (this.#full) return;
      if (field.optional && (value === undefined || value === null)) continue;
      this.#trail.push(field.name);
      this.#field(object, field, value);
      this.#trail.pop();
    }
  }

  #field(object: object, field: FieldPlan, value: unknown): void {
    const { nested, type } = field;
    // By name, as in the library: of two failing rules with one name, the last message at the first one's place.
    let failed: Map<string, string | undefined> | undefined;
    for (const rule of field.rules) {
      if (!holds(rule, value)) (failed ??= new Map()).set(rule.name, messageOfRule(rule, object, value));
    }
    if (nested && isLeaf(value)) (failed ??= new Map()).set('nestedValidation', messageOfNested(nested, value));
    if (failed) for (const [rule, message] of failed) this.#add(rule, message, value);
    if (nested) this.#inside(value, nested, type as ClassPlan);
  }

  #inside(value: unknown, nested: ValidationMetadata, plan: ClassPlan): void {
    if (!Array.isArray(value)) {
      if (value instanceof Object) this.object(value, plan);
      return;
    }
    for (let index = 0; index < value.length && !this.#full; index++) {
      const item: unknown = value[index];
      this.#trail.push(index);
      if (isLeaf(item)) this.#add('nestedValidation', messageOfNested(nested, item), item);
      else this.#inside(item, nested, plan);
      this.#trail.pop();
    }
  }

  #add(rule: string, message: string | undefined, value: unknown): void {
    if (this.#full) return;
    const path = this.#trail.reduce<string>(
      (parent, step) => (typeof step === 'number' ? pathOfIndex(parent, step) : pathOfKey(parent, step)),
      '',
    );
    this.errors.push(fieldError(path, rule, message, value));
  }

  get #full(): boolean {
    return this.errors.length >= MAX_FIELD_ERRORS;
  }
}

function holds(rule: Rule, value: unknown): boolean {
  if (!rule.each) return check(rule, value);
  if (Array.isArray(value)) return value.every((item) => check(rule, item));
  if (value instanceof Set || value instanceof Map) throw CLOSER_LOOK;
  return check(rule, value);
}

function check({ constraint, args }: Rule, value: unknown): boolean {
  let result: unknown;
  try {
    result = constraint.validate(value, args);
  } catch (cause) {
    if (cause === CLOSER_LOOK) throw cause;
    // `isNumber` with maxDecimalPlaces throws on 1e-7, for one. The library would throw; the value is what is wrong.
    return false;
  }
  // A promise, perhaps.
  if (typeof result === 'object' && result !== null) throw CLOSER_LOOK;
  return Boolean(result);
}

/** Neither absent, nor an array, nor an object: what class-validator cannot look into. */
function isLeaf(value: unknown): boolean {
  return value !== undefined && !(value instanceof Object);
}
