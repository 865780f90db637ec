import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { fieldError, MAX_FIELD_ERRORS, pathOfIndex, pathOfKey } from './field-error.js';
import type { FieldError } from './field-error.js';
import type { ClassPlan, FieldPlan } from './plan.js';
import { argumentsOf, messageOfNested, messageOfRule } from './rules.js';
import type { Rule } from './rules.js';

/**
 * The errors of an instance, the first MAX_FIELD_ERRORS of those that class-validator would give and in its order, or
 * undefined when the instance holds something that the plan does not describe.
 */
export function explain(instance: object, plan: ClassPlan): readonly FieldError[] | undefined {
  const explainer = new Explainer();
  explainer.object(instance, plan, '');
  return explainer.foreign ? undefined : explainer.errors;
}

/** Follows ValidationExecutor step by step. Unlike it, it ends when enough is known. */
class Explainer {
  readonly errors: FieldError[] = [];
  foreign = false;

  object(object: object, plan: ClassPlan, path: string): void {
    if (Object.getPrototypeOf(object) !== plan.cls.prototype) {
      this.foreign = true;
      return;
    }
    const values = object as Record<string, unknown>;
    for (const key of Object.keys(object)) {
      if (!plan.fields.has(key)) this.add(pathOfKey(path, key), 'whitelistValidation', `property ${key} should not exist`, values[key]);
      if (this.done) return;
    }
    for (const field of plan.fields.values()) {
      this.field(object, field, values[field.name], pathOfKey(path, field.name));
      if (this.done) return;
    }
  }

  private field(object: object, field: FieldPlan, value: unknown, path: string): void {
    if (field.optional && (value === undefined || value === null)) return;
    // By name, as in the library: of two failing rules with one name, the last message at the first one's place.
    const failed = new Map<string, string | undefined>();
    for (const rule of field.rules) {
      if (!this.holds(rule, object, value)) failed.set(rule.name, messageOfRule(rule, object, value));
    }
    const nested = field.nested;
    if (nested && isLeaf(value)) failed.set('nestedValidation', messageOfNested(nested, value));
    for (const [rule, message] of failed) this.add(path, rule, message, value);
    if (nested) this.inside(value, nested, field.type as ClassPlan, path);
  }

  private inside(value: unknown, nested: ValidationMetadata, plan: ClassPlan, path: string): void {
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length && !this.done; index++) {
        const item: unknown = value[index];
        const at = pathOfIndex(path, index);
        if (isLeaf(item)) this.add(at, 'nestedValidation', messageOfNested(nested, item), item);
        else this.inside(item, nested, plan, at);
      }
    } else if (value instanceof Object) {
      this.object(value, plan, path);
    }
  }

  private holds(rule: Rule, object: object, value: unknown): boolean {
    const itemHolds = (item: unknown) => this.check(rule, object, value, item);
    if (rule.each && Array.isArray(value)) return value.every(itemHolds);
    if (rule.each && (value instanceof Set || value instanceof Map)) return Array.from<unknown>(value.values()).every(itemHolds);
    return itemHolds(value);
  }

  private check(rule: Rule, object: object, whole: unknown, value: unknown): boolean {
    let result: unknown;
    try {
      result = rule.constraint.validate(value, argumentsOf(rule.metadata, object, whole));
    } catch {
      // `isNumber` with maxDecimalPlaces throws on 1e-7, for one. The library would throw; the value is what is wrong.
      return false;
    }
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') this.foreign = true;
    return Boolean(result);
  }

  private add(path: string, rule: string, message: string | undefined, value: unknown): void {
    if (!this.done) this.errors.push(fieldError(path, rule, message, value));
  }

  private get done(): boolean {
    return this.foreign || this.errors.length >= MAX_FIELD_ERRORS;
  }
}

/** Neither absent, nor an array, nor an object: what class-validator cannot look into. */
function isLeaf(value: unknown): boolean {
  return value !== undefined && !(value instanceof Object);
}
