import type { ClassPlan, Conversion, FieldPlan } from './plan.js';
import { INHERITED_KEYS, itemLimit, MAX_ITEMS } from './refusals.js';
import type { Rule } from './rules.js';

export interface CompiledClass {
  /** The instance of a payload of plain JSON whose keys the class knows, or undefined: it must be looked at closely. */
  readonly build: (payload: unknown) => object | undefined;
  /** Whether an instance is valid. False also when a check throws or cannot be decided here. */
  readonly holds: (instance: object) => boolean;
}

/** Thrown by generated code, where the closer look is needed. One value without a stack: it costs next to nothing. */
const CLOSER_LOOK: unknown = Object.freeze({ reason: 'closer look' });

/**
 * Generates the code that does for one class what plainToInstance and validate do for any. It only ever accepts; when
 * it does not, the reason is found by other means. No text of a payload and no text of a decorator enters the code,
 * except property names as JSON strings; all else is passed in by reference.
 */
export function compile(root: ClassPlan): CompiledClass {
  const generator = new Generator();
  const id = generator.class(root);
  const code = `"use strict";
${generator.functions.join('\n')}
return {
  build(payload) {
    try {
      return typeof payload === 'object' && payload !== null ? build${id}(payload) : undefined;
    } catch {
      return undefined;
    }
  },
  holds(instance) {
    try {
      return holds${id}(instance);
    } catch {
      return false;
    }
  },
};`;
  // oxlint-disable-next-line typescript/no-implied-eval
  const bind = new Function('closerLook', 'plain', 'copy', ...generator.names, code) as (...references: unknown[]) => CompiledClass;
  return bind(CLOSER_LOOK, Object.prototype, copy, ...generator.values);
}

class Generator {
  readonly functions: string[] = [];
  readonly values: unknown[] = [];
  private readonly ids = new Map<ClassPlan | Conversion, number>();

  get names(): string[] {
    return this.values.map((_, index) => `ref${index}`);
  }

  class(plan: ClassPlan): number {
    const known = this.ids.get(plan);
    if (known !== undefined) return known;
    const id = this.ids.size;
    this.ids.set(plan, id);
    const fields = [...plan.fields.values()];
    const cls = this.ref(plan.cls);
    const prototype = this.ref(plan.cls.prototype);
    this.functions.push(`function build${id}(from) {
  const prototype = Object.getPrototypeOf(from);
  if (prototype !== plain && prototype !== ${prototype}) throw closerLook;
  const to = new ${cls}();
  for (const key in from) {
    const value = from[key];
    switch (key) {
${fields.map((field) => this.assignment(field)).join('\n')}
      default: throw closerLook;
    }
  }
  return to;
}
${convertFunction(id, `build${id}(value)`, 'value')}
function holds${id}(object) {
  let value;
${fields.map((field) => this.checks(plan, field)).join('\n')}
  return true;
}
function nested${id}(value) {
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!nested${id}(value[i])) return false;
    return true;
  }
  if (Object.getPrototypeOf(value) !== ${prototype}) throw closerLook;
  return holds${id}(value);
}`);
    return id;
  }

  private conversion(target: Conversion): number {
    const known = this.ids.get(target);
    if (known !== undefined) return known;
    const id = this.ids.size;
    this.ids.set(target, id);
    const convert = target === Date ? 'new Date(value)' : `${this.ref(target)}(value)`;
    this.functions.push(convertFunction(id, 'closer()', convert), 'function closer() { throw closerLook; }');
    return id;
  }

  private assignment(field: FieldPlan): string {
    const name = JSON.stringify(field.name);
    const limit = itemLimit(field);
    const { type } = field;
    if (type === undefined)
      return `case ${name}: to[${name}] = typeof value === 'object' && value !== null ? copy(value, ${limit}) : value; break;`;
    const id = 'cls' in type ? this.class(type) : this.conversion(type);
    return `case ${name}: to[${name}] = convert${id}(value, ${limit}); break;`;
  }

  private checks(plan: ClassPlan, field: FieldPlan): string {
    const checks = field.rules.map((rule) => this.check(plan, rule));
    if (field.nested) checks.push(`if (!nested${this.class(field.type as ClassPlan)}(value)) return false;`);
    const all = checks.join('\n');
    return `value = object[${JSON.stringify(field.name)}];\n${field.optional ? `if (value !== undefined && value !== null) {\n${all}\n}` : all}`;
  }

  private check(plan: ClassPlan, rule: Rule): string {
    const args = this.ref(new StaticArguments(plan.cls.name, rule.metadata.propertyName, rule.metadata.constraints));
    const fails = (value: string) => `${constraint}.validate(${value}, ${args}) !== true`;
    const constraint = this.ref(rule.constraint);
    if (!rule.each) return `if (${fails('value')}) return false;`;
    return `if (Array.isArray(value)) { for (let i = 0; i < value.length; i++) if (${fails('value[i]')}) return false; }
else if (value instanceof Set || value instanceof Map) throw closerLook;
else if (${fails('value')}) return false;`;
  }

  private ref(value: unknown): string {
    return `ref${this.values.push(value) - 1}`;
  }
}

/** What class-transformer makes of a value whose property has a type: each item of an array, at any depth, is converted. */
function convertFunction(id: number, object: string, other: string): string {
  return `function convert${id}(value, limit) {
  if (value === undefined || value === null) return value;
  if (typeof value !== 'object') return ${other};
  if (!Array.isArray(value)) return ${object};
  if (value.length > limit) throw closerLook;
  const items = [];
  for (let i = 0; i < value.length; i++) {
    if (value[i] === undefined) throw closerLook;
    items.push(convert${id}(value[i], ${MAX_ITEMS}));
  }
  return items;
}`;
}

/** What class-transformer makes of an object or array without a type: a deep copy. */
function copy(value: object, limit: number): object {
  if (Array.isArray(value)) {
    if (value.length > limit) throw CLOSER_LOOK;
    const items: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index];
      // A hole, perhaps: class-transformer closes it.
      if (item === undefined) throw CLOSER_LOOK;
      items.push(typeof item === 'object' && item !== null ? copy(item, MAX_ITEMS) : item);
    }
    return items;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) throw CLOSER_LOOK;
  const keys = Object.keys(value);
  if (keys.length > MAX_ITEMS) throw CLOSER_LOOK;
  const object: Record<string, unknown> = {};
  for (const key of keys) {
    const inner = (value as Record<string, unknown>)[key];
    if (INHERITED_KEYS.has(key) || typeof inner === 'function') throw CLOSER_LOOK;
    object[key] = typeof inner === 'object' && inner !== null ? copy(inner, MAX_ITEMS) : inner;
  }
  return object;
}

/** The arguments of class-validator's own checks never change: they read `constraints` only. One that reads more is not its own. */
class StaticArguments {
  constructor(
    readonly targetName: string,
    readonly property: string,
    readonly constraints: unknown[],
  ) {}

  get object(): never {
    throw CLOSER_LOOK;
  }

  get value(): never {
    throw CLOSER_LOOK;
  }
}
