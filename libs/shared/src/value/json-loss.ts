/** A value of which JSON would keep nothing, or something else. */
export interface JsonLoss {
  /** Path inside the value, such as `items[2].tags`; empty for the value itself. */
  readonly path: string;
  /** Such as `a Map`. */
  readonly type: string;
  readonly remedy: string;
}

const REMEDIES: Readonly<Record<string, string>> = {
  Map: 'pass an object (Object.fromEntries) or its entries',
  Set: 'pass an array ([...set])',
  Error: 'pass { name, message }',
  RegExp: 'pass its source as a text',
  Promise: 'wait for it',
  ArrayBuffer: 'pass base64 text, or a Buffer',
  SharedArrayBuffer: 'pass base64 text, or a Buffer',
  DataView: 'pass base64 text, or a Buffer',
  WeakMap: 'pass plain data',
  WeakSet: 'pass plain data',
  WeakRef: 'pass plain data',
};

/**
 * The first value in `value` that JSON.stringify would write as `{}`, as `null` or not at all: NaN and Infinity, functions,
 * symbols, fields whose name is a symbol, Map, Set, Error and their like, an invalid Date, and an instance that has no field of its own
 * but methods or accessors. `undefined` is no such value. What has a `toJSON` is what that returns.
 *
 * For a value that JSON.stringify has written: it has no cycles then, and it is finite.
 */
export function lossInJson(value: unknown): JsonLoss | undefined {
  switch (typeof value) {
    case 'object':
      return value === null ? undefined : Array.isArray(value) ? lossInArray(value) : lossInObject(value as Fields);
    case 'number':
      return Number.isFinite(value) ? undefined : { path: '', type: String(value), remedy: 'pass null or a text' };
    case 'function':
      return { path: '', type: 'a function', remedy: 'leave it out' };
    case 'symbol':
      return { path: '', type: 'a symbol', remedy: 'pass a text' };
    default:
      return undefined;
  }
}

/** In one line, for a message: where, what and the remedy. `whole` names the value itself. */
export function describeLoss({ path, type, remedy }: JsonLoss, whole: string): string {
  return `${path === '' ? whole : path} is ${type}: ${remedy}`;
}

type Fields = Readonly<Record<string, unknown>>;

function lossInArray(items: readonly unknown[]): JsonLoss | undefined {
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item === 'string') continue;
    const loss = lossInJson(item);
    if (loss) return within(`[${i}]`, loss);
  }
  return undefined;
}

function lossInObject(fields: Fields): JsonLoss | undefined {
  const { toJSON } = fields;
  return typeof toJSON === 'function' ? lossInToJson(fields, toJSON as () => unknown) : lossInFields(fields);
}

function lossInFields(fields: Fields): JsonLoss | undefined {
  const prototype = Object.getPrototypeOf(fields) as object | null;
  if (prototype !== Object.prototype && prototype !== null) {
    if (ArrayBuffer.isView(fields) && !(fields instanceof DataView)) return undefined;
    const loss = lossOfInstance(fields, prototype);
    if (loss) return loss;
  }
  for (const key in fields) {
    const field = fields[key];
    // Nearly all fields are texts, and JSON takes own fields only.
    if (typeof field === 'string' || !Object.hasOwn(fields, key)) continue;
    const loss = lossInJson(field);
    if (loss) return within(keyed(key), loss);
  }
  return lossOfSymbols(fields);
}

/** Called a second time: what it returns is not to be had from JSON.stringify. */
function lossInToJson(value: Fields, toJSON: () => unknown): JsonLoss | undefined {
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? { path: '', type: 'an invalid Date', remedy: 'pass null or a valid one' } : undefined;
  if (Buffer.isBuffer(value)) return undefined;
  const written: unknown = toJSON.call(value);
  if (written === undefined) return { path: '', type: `${named(value)} whose toJSON returns nothing`, remedy: 'leave it out' };
  // What it returns is written by its fields, whether it has a toJSON itself or not.
  return typeof written !== 'object' || written === null || Array.isArray(written) ? lossInJson(written) : lossInFields(written as Fields);
}

function lossOfInstance(value: Fields, prototype: object): JsonLoss | undefined {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  const remedy = Object.hasOwn(REMEDIES, tag) ? REMEDIES[tag] : undefined;
  if (remedy !== undefined) return { path: '', type: named(value), remedy };
  if (tag === 'String' || tag === 'Number' || tag === 'Boolean') return undefined;
  if (Object.keys(value).length > 0) return undefined;
  // The plain prototype of another realm (vm, worker) ends the chain.
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.getPrototypeOf(at) === null) return undefined;
    if (Object.getOwnPropertyNames(at).length > 1)
      return { path: '', type: `${named(value)} without fields of its own`, remedy: 'give its class a toJSON, or pass plain data' };
  }
  return undefined;
}

function lossOfSymbols(fields: Fields): JsonLoss | undefined {
  const symbols = Object.getOwnPropertySymbols(fields);
  if (symbols.length === 0) return undefined;
  const lost = symbols.find((symbol) => Object.prototype.propertyIsEnumerable.call(fields, symbol));
  return lost && { path: `[${String(lost)}]`, type: 'a field whose name is a symbol', remedy: 'name it by a text' };
}

function named(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  const name = typeof constructor === 'function' && typeof constructor.name === 'string' ? constructor.name : '';
  if (name === '') return 'an object';
  return `${/^[AEIO]/i.test(name) ? 'an' : 'a'} ${name}`;
}

const keyed = (key: string): string => (/^[\w$]+$/.test(key) ? key : `[${JSON.stringify(key.slice(0, 80))}]`);

function within(key: string, { path, type, remedy }: JsonLoss): JsonLoss {
  const joined = path === '' || path.startsWith('[') ? `${key}${path}` : `${key}.${path}`;
  return { path: joined, type, remedy };
}
