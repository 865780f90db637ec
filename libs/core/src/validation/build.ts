import { MAX_ITEMS } from './limits.js';
import { INHERITED_KEYS } from './plan.js';
import type { ClassPlan, FieldPlan, UnknownFields } from './plan.js';
import { CLOSER_LOOK } from './rules.js';

/**
 * What plainToInstance makes of plain JSON, for classes without obstacles. Throws CLOSER_LOOK for anything else: keys
 * that are inherited, too many items, values that JSON cannot hold.
 */
export class Builder {
  /** Number of properties that no class declares and that are refused for it. They are kept, to be reported. */
  strangers = 0;
  readonly #unknownFields: UnknownFields;

  constructor(unknownFields: UnknownFields = 'refuse') {
    this.#unknownFields = unknownFields;
  }

  object(from: object, plan: ClassPlan): object {
    const prototype: unknown = Object.getPrototypeOf(from);
    if (prototype !== Object.prototype && prototype !== plan.cls.prototype) throw CLOSER_LOOK;
    const source = from as Record<string, unknown>;
    const target = new plan.cls() as Record<string, unknown>;
    for (const key in source) {
      const field = plan.fields.get(key);
      // A name that the class or every object has: class-transformer would leave such a property out.
      if (field === undefined && key in target) throw CLOSER_LOOK;
      if (field === undefined) {
        if (this.#unknownFields === 'strip') continue;
        if (this.#unknownFields === 'refuse') this.strangers += 1;
      }
      target[key] = this.value(source[key], field?.type, field?.maxItems ?? MAX_ITEMS);
    }
    return target;
  }

  /** The value of a property, or an item: arrays keep their depth, and their items become what `type` says. */
  value(value: unknown, type: FieldPlan['type'], maxItems: number): unknown {
    if (value === undefined || value === null) return value;
    if (typeof value !== 'object') {
      if (type === undefined || 'cls' in type) return value;
      return type === Date ? new Date(value as string) : (type as (from: unknown) => unknown)(value);
    }
    if (Array.isArray(value)) return this.#array(value, type, maxItems);
    if (type === undefined) return this.#copy(value);
    if ('cls' in type) return this.object(value, type);
    throw CLOSER_LOOK;
  }

  #array(from: readonly unknown[], type: FieldPlan['type'], maxItems: number): unknown[] {
    if (from.length > maxItems) throw CLOSER_LOOK;
    const items: unknown[] = [];
    for (let index = 0; index < from.length; index++) {
      const item = from[index];
      // A hole, perhaps: class-transformer closes it.
      if (item === undefined) throw CLOSER_LOOK;
      items.push(this.value(item, type, MAX_ITEMS));
    }
    return items;
  }

  #copy(from: object): object {
    if (Object.getPrototypeOf(from) !== Object.prototype) throw CLOSER_LOOK;
    const keys = Object.keys(from);
    if (keys.length > MAX_ITEMS) throw CLOSER_LOOK;
    const target: Record<string, unknown> = {};
    for (const key of keys) {
      const value = (from as Record<string, unknown>)[key];
      if (INHERITED_KEYS.has(key) || typeof value === 'function') throw CLOSER_LOOK;
      target[key] = this.value(value, undefined, MAX_ITEMS);
    }
    return target;
  }
}
