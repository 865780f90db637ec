import type { FieldError } from '@loopstack/shared';
import { fieldError, pathOfIndex, pathOfKey } from './field-error.js';
import { MAX_FIELD_ERRORS, MAX_ITEMS } from './limits.js';
import { INHERITED_KEYS } from './plan.js';
import type { ClassPlan, FieldPlan } from './plan.js';
import { messageOfRule } from './rules.js';

export interface Refusals {
  readonly errors: readonly FieldError[];
  /** What the libraries would have to do, see MAX_LIBRARY_WORK. Complete only when there are no errors. */
  readonly work: number;
}

/** What is refused before class-transformer and class-validator see it, because there it would be dropped or too slow. */
export function refusalsOf(payload: object, plan: ClassPlan): Refusals {
  const scan = new Scan();
  scan.object(payload, '', plan);
  return scan;
}

class Scan implements Refusals {
  readonly errors: FieldError[] = [];
  work = 0;

  object(value: object, path: string, plan: ClassPlan | undefined): void {
    const keys = Object.keys(value);
    this.work += 1 + keys.length ** 2 / 1000;
    if (keys.length > MAX_ITEMS) return this.#tooMany(value, path, `more than ${MAX_ITEMS} properties`);
    for (const key of keys) {
      if (this.errors.length >= MAX_FIELD_ERRORS) return;
      const at = pathOfKey(path, key);
      const field = plan?.fields.get(key);
      const inner = (value as Record<string, unknown>)[key];
      const inherited = INHERITED_KEYS.has(key) || (plan !== undefined && field === undefined && key in plan.cls.prototype);
      if (inherited) this.errors.push(fieldError(at, 'whitelistValidation', `property ${key} should not exist`, inner));
      else this.#value(inner, at, field, value);
    }
  }

  #value(value: unknown, path: string, field: FieldPlan | undefined, owner: object): void {
    if (Array.isArray(value)) this.#array(value, path, field, owner);
    else if (isRecord(value)) this.object(value, path, field?.type && 'cls' in field.type ? field.type : undefined);
    else this.work += 1;
  }

  #array(array: readonly unknown[], path: string, field: FieldPlan | undefined, owner: object): void {
    this.work += 1;
    const limit = field?.maxItems ?? MAX_ITEMS;
    if (array.length > limit) {
      const rule = field?.sizeRule;
      if (!rule) return this.#tooMany(array, path, `more than ${limit} items; @ArrayMaxSize can allow them`);
      this.errors.push(fieldError(path, rule.name, messageOfRule(rule, owner, array), array));
      return;
    }
    const itemField = field && { ...field, sizeRule: undefined, maxItems: MAX_ITEMS };
    for (let index = 0; index < array.length && this.errors.length < MAX_FIELD_ERRORS; index++) {
      this.#value(array[index], pathOfIndex(path, index), itemField, owner);
    }
  }

  #tooMany(value: unknown, path: string, what: string): void {
    this.errors.push(fieldError(path, 'payloadTooManyItems', `${path || 'the payload'} has ${what}`, value));
  }
}

/** Plain objects and instances of classes; not a Date, Map or Buffer, which have no properties of their own to scan. */
export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Object]';
}
