import type { JsonSchema } from './catalogue.js';
import {
  ANNOTATIONS,
  ASSERTIONS,
  IN_PLACE,
  INVERTING,
  isFields,
  isPattern,
  isText,
  LISTS,
  MAPS,
  ONE,
  type Fields,
} from './schema-keywords.js';
import type { RunAddress } from '../names/subject.js';

/** A part of a schema that is left out because it cannot be checked. */
export interface Unchecked {
  /** The field, as far as a schema tells: `lines[].sku`, `$defs.Line.sku`. Empty for the whole. */
  readonly path: string;
  /** The keyword. */
  readonly rule: string;
  readonly reason: string;
}

export interface CheckableSchema {
  /** Refuses nothing that the original takes. References lead to its own `$defs`. */
  readonly schema: JsonSchema;
  readonly unchecked: readonly Unchecked[];
}

/** Levels of a schema, and its parts with all definitions: a compiler takes a tenth of a second for so many. */
const MAX_LEVELS = 64;
const MAX_PARTS = 3000;
/**
 * What of a schema can be checked. The catalogue is in a bucket that others may write, and releases of other times and languages do:
 * a keyword that is wrong, a reference that leads nowhere or out of the schema, or in circles, and an expression that is none are left
 * out, with what depends on them. Never throws.
 */
export function checkableSchema(schema: unknown): CheckableSchema {
  const first = new Reader(schema, false).read();
  // What is left out makes a `not` around it stricter, also by a reference.
  return first.unchecked.length === 0 ? first : new Reader(schema, true).read();
}

/** Says it of a workflow, for a log: names in a catalogue that others may write must not forge lines of it. */
export function uncheckedText(unchecked: readonly Unchecked[], workflow?: RunAddress): string {
  const name = workflow ? `${workflow.workspace}.${workflow.workflow}` : 'a workflow';
  const parts = unchecked.slice(0, 5).map(({ path, rule, reason }) => `${path === '' ? 'the payload' : path} (${rule}: ${reason})`);
  const more = unchecked.length > parts.length ? `, and ${unchecked.length - parts.length} more` : '';
  const text = `The schema of ${name} in the catalogue cannot be checked for ${parts.join(', ')}${more}: left to the worker`;
  // oxlint-disable-next-line no-control-regex -- it is about them
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}

/** Where in a schema. */
interface Place {
  readonly path: string;
  readonly level: number;
  /** The definition whose value this looks at, or undefined below it. */
  readonly owner: string | undefined;
}

class Reader {
  readonly #unchecked = new Map<string, Unchecked>();
  /** By pointer: the name among the definitions. */
  readonly #names = new Map<string, string>();
  readonly #definitions = new Map<string, JsonSchema | boolean>();
  /** References by the definition (or root, '') in which they look at the same value. */
  readonly #inPlace = new Map<string, Set<string>>();
  #parts = 0;
  readonly #root: unknown;
  readonly #incomplete: boolean;

  constructor(root: unknown, incomplete: boolean) {
    this.#root = root;
    this.#incomplete = incomplete;
  }

  read(): CheckableSchema {
    if (!isFields(this.#root)) return { schema: {}, unchecked: [{ path: '', rule: 'schema', reason: `it is ${kindOf(this.#root)}` }] };
    const { $schema } = this.#root;
    const root = this.#schema(this.#root, { path: '', level: 0, owner: '' }) as JsonSchema;
    if (this.#parts > MAX_PARTS)
      return { schema: {}, unchecked: [{ path: '', rule: 'schema', reason: `it has more than ${MAX_PARTS} parts` }] };
    for (const pointer of this.#names.keys()) if (this.#isCircular(pointer, pointer, new Set())) this.#cut(pointer);
    const $defs = Object.fromEntries(this.#definitions);
    return {
      schema: {
        ...(isText($schema) && String($schema).includes('2020-12') ? { $schema } : {}),
        ...root,
        ...(this.#definitions.size > 0 ? { $defs } : {}),
      },
      unchecked: [...this.#unchecked.values()],
    };
  }

  #schema(from: unknown, place: Place): JsonSchema | boolean {
    if (typeof from === 'boolean') return from;
    const { path, level } = place;
    if (!isFields(from)) return this.#leave(path, 'schema', `it is ${kindOf(from)}`);
    this.#parts += 1;
    if (this.#parts > MAX_PARTS) return {};
    if (level > MAX_LEVELS) return this.#leave(path, 'schema', `it is nested deeper than ${MAX_LEVELS} levels`);
    if (level > 0 && '$id' in from) return this.#leave(path, '$id', 'it is a schema of its own');
    const before = this.#unchecked.size;
    const to = new Map<string, unknown>();
    for (const [keyword, value] of Object.entries(from)) this.#keyword(to, keyword, value, place);
    if (this.#unchecked.size > before || this.#incomplete) this.#loosen(to, from, path);
    return Object.fromEntries(to);
  }

  #keyword(to: Map<string, unknown>, keyword: string, value: unknown, { path, level, owner }: Place): void {
    const inside = IN_PLACE.has(keyword) ? owner : undefined;
    const next = (one: unknown, at: string): JsonSchema | boolean => this.#schema(one, { path: at, level: level + 1, owner: inside });
    if (keyword === '$ref') this.#reference(to, value, path, owner);
    else if (keyword === '$dynamicRef' || keyword === '$recursiveRef') this.#leave(path, keyword, 'it is not known here');
    else if (Object.hasOwn(ANNOTATIONS, keyword)) {
      if (ANNOTATIONS[keyword]?.(value)) to.set(keyword, value);
    } else if (Object.hasOwn(ASSERTIONS, keyword)) {
      this.#parts += Array.isArray(value) ? value.length / 10 : 0;
      if (ASSERTIONS[keyword]?.(value)) to.set(keyword, value);
      else this.#leave(path, keyword, keyword === 'pattern' && isText(value) ? 'it is no expression' : `it is ${kindOf(value)}`);
    } else if (ONE.has(keyword)) {
      to.set(keyword, next(value, keyword === 'items' || keyword === 'contains' ? `${path}[]` : path));
    } else if (LISTS.has(keyword)) {
      if (Array.isArray(value) && value.length > 0)
        to.set(
          keyword,
          value.map((one, index) => next(one, keyword === 'prefixItems' ? `${path}[${index}]` : path)),
        );
      else this.#leave(path, keyword, `it is ${kindOf(value)}`);
    } else if (MAPS.has(keyword)) this.#map(to, keyword, value, path, next);
  }

  #map(
    to: Map<string, unknown>,
    keyword: string,
    value: unknown,
    path: string,
    next: (one: unknown, at: string) => JsonSchema | boolean,
  ): void {
    if (!isFields(value)) return void this.#leave(path, keyword, `it is ${kindOf(value)}`);
    const entries = Object.entries(value).filter(([name]) => {
      if (keyword !== 'patternProperties' || isPattern(name)) return true;
      this.#leave(path, keyword, 'a name is no expression');
      return false;
    });
    const at = (name: string): string => (keyword === 'dependentSchemas' ? path : path === '' ? name : `${path}.${name}`);
    to.set(keyword, Object.fromEntries(entries.map(([name, one]) => [name, next(one, at(name))])));
  }

  /** Of a schema in which something is left out, what would refuse more for it. */
  #loosen(to: Map<string, unknown>, from: Fields, path: string): void {
    for (const keyword of INVERTING) {
      if (!to.has(keyword) || this.#isWhole(keyword, to, from)) continue;
      to.delete(keyword);
      this.#leave(path, keyword, 'it depends on what is not checked');
    }
    const one = to.get('oneOf');
    if (Array.isArray(one)) {
      to.delete('oneOf');
      to.set('allOf', [...((to.get('allOf') as unknown[] | undefined) ?? []), { anyOf: one }]);
    }
    // What these are about is what others have not named.
    const names = (keyword: string): number => Object.keys(from[keyword] ?? {}).length;
    const kept = Object.keys(to.get('patternProperties') ?? {}).length;
    if (kept < names('patternProperties') || ('properties' in from && !to.has('properties'))) to.delete('additionalProperties');
    if ('prefixItems' in from && !to.has('prefixItems')) to.delete('items');
  }

  /** A `not` of plain keywords says the same as before; one with anything else may not. */
  #isWhole(keyword: string, to: ReadonlyMap<string, unknown>, from: Fields): boolean {
    if (keyword !== 'not') return false;
    const text = JSON.stringify(to.get(keyword));
    return !text.includes('"$ref"') && text === JSON.stringify(from[keyword]);
  }

  #reference(to: Map<string, unknown>, value: unknown, path: string, owner: string | undefined): void {
    if (typeof value !== 'string' || !/^#(?:\/|$)/.test(value)) return void this.#leave(path, '$ref', 'it leads out of the schema');
    const pointer = value.slice(1);
    const target = targetOf(this.#root, pointer);
    if (!isFields(target) && typeof target !== 'boolean') return void this.#leave(path, '$ref', 'it leads nowhere');
    let name = this.#names.get(pointer);
    if (name === undefined) {
      const wanted = (pointer.split('/').at(-1) ?? '').replace(/[^\w.-]/g, '_') || 'Root';
      const taken = new Set(this.#names.values());
      name = wanted;
      for (let n = 2; taken.has(name); n++) name = `${wanted}_${n}`;
      this.#names.set(pointer, name);
      this.#definitions.set(name, this.#schema(target, { path: pointer === '' ? '' : `$defs.${name}`, level: 0, owner: pointer }));
    }
    if (owner !== undefined) this.#inPlace.set(owner, (this.#inPlace.get(owner) ?? new Set()).add(pointer));
    to.set('$ref', `#/$defs/${name}`);
  }

  /** Whether a definition leads back to itself without going into the value: checking it would never end. */
  #isCircular(from: string, to: string, seen: Set<string>): boolean {
    for (const next of this.#inPlace.get(from) ?? []) {
      if (next === to) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      if (this.#isCircular(next, to, seen)) return true;
    }
    return false;
  }

  #cut(pointer: string): void {
    const name = this.#names.get(pointer) as string;
    this.#inPlace.delete(pointer);
    this.#definitions.set(name, {});
    this.#leave(pointer === '' ? '' : `$defs.${name}`, '$ref', 'it leads in circles');
  }

  #leave(path: string, rule: string, reason: string): JsonSchema {
    const shown = path.length > 200 ? `${path.slice(0, 199)}…` : path;
    if (this.#unchecked.size < 1000) this.#unchecked.set(`${shown} ${rule}`, { path: shown, rule, reason });
    return {};
  }
}

function targetOf(root: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((at, token) => {
      const key = decoded(token).replaceAll('~1', '/').replaceAll('~0', '~');
      return typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Fields)[key] : undefined;
    }, root);
}

function decoded(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return isFields(value) ? 'an object' : `a ${typeof value}`;
}
