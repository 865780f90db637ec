import { fieldError, MAX_FIELD_ERRORS, pathOfIndex, pathOfKey } from './field-error.js';
import type { FieldError } from './field-error.js';
import type { ClassPlan, FieldPlan } from './plan.js';
import { messageOfRule } from './rules.js';

/**
 * Most items of an array, and most keys of an object, anywhere in a payload. An array property may have more when its
 * `@ArrayMaxSize` says so. The libraries need up to 6 us for each item and square time for the keys of one object.
 */
export const MAX_ITEMS = 10_000;

/** Own keys that class-transformer drops without a word: assigning them would reach what every object inherits. */
export const INHERITED_KEYS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

export interface Refusals {
  readonly errors: readonly FieldError[];
  /** Number of values in the payload, itself included. Complete only when there are no errors. */
  readonly values: number;
}

/** What is refused before class-transformer and class-validator see it, because there it would be dropped or too slow. */
export function refusalsOf(payload: object, plan: ClassPlan): Refusals {
  const scan = new Scan();
  scan.object(payload, '', plan);
  return scan;
}

/** The largest array that the property may hold before its items are looked at. */
export function itemLimit(field: FieldPlan | undefined): number {
  const declared: unknown = field?.sizeRule?.metadata.constraints[0];
  return typeof declared === 'number' ? Math.max(declared, MAX_ITEMS) : MAX_ITEMS;
}

class Scan implements Refusals {
  readonly errors: FieldError[] = [];
  values = 0;

  object(value: object, path: string, plan: ClassPlan | undefined): void {
    this.values += 1;
    const keys = Object.keys(value);
    if (keys.length > MAX_ITEMS) return this.tooMany(value, path, `more than ${MAX_ITEMS} properties`);
    for (const key of keys) {
      if (this.errors.length >= MAX_FIELD_ERRORS) return;
      const at = pathOfKey(path, key);
      const field = plan?.fields.get(key);
      const inner = (value as Record<string, unknown>)[key];
      const inherited = INHERITED_KEYS.has(key) || (plan !== undefined && field === undefined && key in plan.cls.prototype);
      if (inherited) this.errors.push(fieldError(at, 'whitelistValidation', `property ${key} should not exist`, inner));
      else this.value(inner, at, field, value);
    }
  }

  private value(value: unknown, path: string, field: FieldPlan | undefined, owner: object): void {
    if (Array.isArray(value)) this.array(value, path, field, owner);
    else if (isRecord(value)) this.object(value, path, field?.type && 'cls' in field.type ? field.type : undefined);
    else this.values += 1;
  }

  private array(array: readonly unknown[], path: string, field: FieldPlan | undefined, owner: object): void {
    this.values += 1;
    const limit = itemLimit(field);
    if (array.length > limit) {
      const rule = field?.sizeRule;
      if (!rule) return this.tooMany(array, path, `more than ${limit} items; @ArrayMaxSize can allow them`);
      this.errors.push(fieldError(path, rule.name, messageOfRule(rule, owner, array), array));
      return;
    }
    const itemField = field && { ...field, sizeRule: undefined };
    for (let index = 0; index < array.length && this.errors.length < MAX_FIELD_ERRORS; index++) {
      this.value(array[index], pathOfIndex(path, index), itemField, owner);
    }
  }

  private tooMany(value: unknown, path: string, what: string): void {
    this.errors.push(fieldError(path, 'payloadTooManyItems', `${path || 'the payload'} has ${what}`, value));
  }
}

/** Plain objects and instances of classes; not a Date, Map or Buffer, which have no properties of their own to scan. */
export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Object]';
}
