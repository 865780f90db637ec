import 'reflect-metadata';
import { inspect, isDeepStrictEqual } from 'node:util';
import * as v from 'class-validator';
import type { ValidationArguments, ValidationError, ValidationOptions, ValidatorOptions } from 'class-validator';
import { Expose, plainToInstance, Transform, Type } from 'class-transformer';
import fc from 'fast-check';
import { compile } from './compile.js';
import type { Accept } from './compile.js';
import { Builder } from './build.js';
import { explain } from './explain.js';
import { attempt, transformStorage } from './libraries.js';
import { payloadValidator } from './payload-validator.js';
import { INHERITED_KEYS, planOf } from './plan.js';
import type { ClassPlan, Plan, UnknownFields } from './plan.js';

// The long form: LOOPSTACK_PROPERTY_RUNS=2000000 inputs.
const RUNS = Number(process.env['LOOPSTACK_PROPERTY_RUNS'] ?? 10_000);
const INPUTS_PER_CLASS = 100;

type Cls = new () => object;
type Decorate = (options: ValidationOptions) => PropertyDecorator;
interface FieldSpec {
  readonly name: string;
  readonly decorators: readonly PropertyDecorator[];
  readonly valid: fc.Arbitrary<unknown>;
  readonly initial: unknown;
}
interface Subject {
  readonly cls: Cls;
  readonly payload: fc.Arbitrary<unknown>;
}

enum Color {
  Red = 'red',
  Green = 'green',
}
enum Level {
  Low,
  High,
}

// ---- decorators -----------------------------------------------------------------------------------------------------

/** A decorator, and some values that it accepts. */
type Rule = readonly [decorate: Decorate, ...good: unknown[]];

const textRules: readonly Rule[] = [
  [(o) => v.IsString(o), 'red', '', 'a b', 'x'.repeat(300)],
  [(o) => v.IsNotEmpty(o), 'a', 0],
  [(o) => v.Length(1, 8, o), 'a', 'red'],
  [(o) => v.Length(2, undefined, o), 'ab', 'red'],
  [(o) => v.MinLength(2, o), 'ab', 'red'],
  [(o) => v.MaxLength(20, o), '', 'red'],
  [(o) => v.Matches(/^[a-z]/i, o), 'a', 'Red'],
  [(o) => v.Matches('a', 'i', o), 'a', 'bAd'],
  [(o) => v.Contains('a', o), 'a', 'bad'],
  [(o) => v.NotContains('x', o), 'a', 'red'],
  [(o) => v.IsIn(['red', 'a', 1, null], o), 'red', 'a', 1],
  [(o) => v.IsNotIn(['b', ''], o), 'red', 'a'],
  [(o) => v.IsEnum(Color, o), 'red', 'green'],
  [(o) => v.Equals('red', o), 'red'],
  [(o) => v.NotEquals('a', o), 'red'],
  [(o) => v.IsUUID(undefined, o), 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  [(o) => v.IsUUID('4', o), 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  [(o) => v.IsEmail({}, o), 'a@b.de'],
  [(o) => v.IsISO8601({ strict: true }, o), '2024-02-28T10:00:00Z', '2024-02-28'],
  [(o) => v.IsDateString({}, o), '2024-02-28T10:00:00Z'],
  [(o) => v.IsUrl({ require_tld: false }, o), 'http://localhost/'],
  [(o) => v.IsNumberString({}, o), '4', '-1.5'],
  [(o) => v.IsJSON(o), '{"a":1}', '[]'],
  [(o) => v.IsIP('4', o), '127.0.0.1'],
  [(o) => v.IsLowercase(o), 'a', 'red'],
  [(o) => v.IsAlphanumeric('en-US', o), 'a', 'red', '4'],
  [(o) => v.IsPhoneNumber(undefined, o), '+49 30 123456'],
  [(o) => v.IsEmpty(o), ''],
];
const numberRules: readonly Rule[] = [
  [(o) => v.IsInt(o), 0, 1, 2, 99, 1e21, -0],
  [(o) => v.IsNumber({}, o), 1, 0.5, -3],
  [(o) => v.IsNumber({ maxDecimalPlaces: 2 }, o), 1, 0.25, -3],
  [(o) => v.IsNumber({ allowNaN: true, allowInfinity: true }, o), 1, Number.NaN],
  [(o) => v.Min(0, o), 0, 3],
  [(o) => v.Max(100, o), 100, -3],
  [(o) => v.IsPositive(o), 1, 1e-7],
  [(o) => v.IsNegative(o), -1],
  [(o) => v.IsDivisibleBy(2, o), 4, 0],
  [(o) => v.IsEnum(Level, o), 0, 1, 'Low'],
  [(o) => v.IsLatitude(o), 4, 52.5, '4'],
];
const arrayRules: readonly Rule[] = [
  [(o) => v.IsArray(o)],
  [(o) => v.ArrayMinSize(1, o)],
  [(o) => v.ArrayMaxSize(3, o)],
  [(o) => v.ArrayNotEmpty(o)],
  [(o) => v.ArrayUnique(o)],
  [(o) => v.ArrayUnique((item: unknown) => typeof item, o)],
  [(o) => v.ArrayContains(['a'], o)],
  [(o) => v.ArrayNotContains(['b'], o)],
];
const otherRules: readonly Rule[] = [
  [(o) => v.IsBoolean(o), true, false],
  [(o) => v.IsObject(o), {}, { a: [1, { b: null }] }],
  [(o) => v.IsNotEmptyObject({ nullable: false }, o), { a: 1 }],
  [(o) => v.IsDefined(o), 0, '', {}],
  [(o) => v.Allow(o), null, undefined, [[]], { 'x y': { 0: 1 } }],
  [(o) => v.IsDate(o), new Date(1e12)],
  [(o) => v.MinDate(new Date(0), o), new Date(1e12)],
  [(o) => v.IsInstance(Date, o), new Date(1e12)],
];
const allRules = [...textRules, ...numberRules, ...arrayRules, ...otherRules];
const obstacles: readonly PropertyDecorator[] = [
  v.ValidateIf((_, value) => value !== 'a'),
  v.ValidateBy({ name: 'isOurs', validator: { validate: (value) => value !== 'b' } }),
  Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value)),
  Expose({ name: 'renamed' }),
  v.IsString({ validateIf: (_, value) => value !== null }),
];

const message = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom('wrong', '$property of $target is $value, not $constraint1 or $constraint2, $property') },
  {
    weight: 1,
    arbitrary: fc.constant((args: ValidationArguments) => {
      const { object, property, targetName, value, constraints } = args;
      return [property, targetName, typeof value, constraints?.length, Object.keys(object).join()].join('|');
    }),
  },
);
const optionsWith = (each: fc.Arbitrary<boolean>) =>
  fc
    .record({
      each,
      message,
      more: fc.constantFrom<ValidationOptions[]>({}, {}, {}, { groups: ['g'] }, { always: true }, { context: { code: 1 } }),
    })
    .map((o): ValidationOptions => ({ each: o.each, ...(o.message === undefined ? {} : { message: o.message }), ...o.more }));
const anyEach = optionsWith(fc.boolean());
const anyOf = (rules: readonly Rule[], min: number, max: number, options: fc.Arbitrary<ValidationOptions>) =>
  fc
    .array(fc.tuple(fc.constantFrom(...rules), options), { minLength: min, maxLength: max })
    .map((all) => all.map(([[make], o]) => make(o)));

// ---- values ---------------------------------------------------------------------------------------------------------

const text = fc.oneof(fc.constantFrom('red', 'a', '', '4', '2024-02-30', '$&', 'x'.repeat(300)), fc.string({ maxLength: 10 }));
const number = fc.oneof(fc.constantFrom(0, 1, 2, 0.5, 1e-7, 99.999), fc.integer({ min: -3, max: 120 }), fc.double());
const key = fc.oneof(fc.constantFrom('a', 'b', 'id', 'x y', '0', 'length', 'then'), fc.string({ maxLength: 5 }));
const json = fc.jsonValue({ maxDepth: 2 });
const hostileKeys = fc
  .constantFrom('{"__proto__":{"a":1}}', '{"constructor":1}', '{"toString":"a","a":1}', '{"a":[{"constructor":{"prototype":{}}}]}')
  .map((body) => JSON.parse(body) as unknown);
const notJson = fc.constantFrom<(() => unknown)[]>(
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => undefined,
  () => new Date(5),
  () => new Map([['a', 1]]),
  () => new Set(['a']),
  () => () => 1,
  () => 10n,
  () => Array.from({ length: 2 }),
  () => Object.assign(Array.from<unknown>({ length: 3 }), { 1: 'a' }),
  // oxlint-disable-next-line no-sparse-arrays -- a hole is the point
  () => ['a', , { a: 1 }],
  () => Object.assign(Object.create(null) as object, { a: 1 }),
  () => Buffer.from('a'),
  () =>
    new (class Other {
      a = 1;
    })(),
);
const wrong: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.oneof(fc.constant(null), text, number, fc.boolean(), json) },
  { weight: 4, arbitrary: fc.array(fc.oneof(text, number, fc.constant(null), json, fc.array(json, { maxLength: 2 })), { maxLength: 4 }) },
  { weight: 1, arbitrary: hostileKeys },
  { weight: 1, arbitrary: notJson.map((make) => make()) },
);
const mostly = (valid: fc.Arbitrary<unknown>, weight = 40) => fc.oneof({ weight, arbitrary: valid }, { weight: 1, arbitrary: wrong });

// ---- classes --------------------------------------------------------------------------------------------------------

const NAMES = [
  'a',
  'b',
  'id',
  'items',
  'order-id',
  'x y',
  'ünï',
  '0',
  '7',
  `q'"\`\\`,
  '${a}',
  '"];throw 1;//',
  'length',
  'name',
  'renamed',
  '\u2028',
];
const presence = fc.constantFrom<PropertyDecorator[]>(
  [],
  [],
  [v.IsOptional()],
  [v.IsOptional()],
  [v.IsDefined()],
  [v.IsDefined(), v.IsOptional()],
);

/** Decorators that fit together often enough for some payloads to be valid, and values for them. */
function fieldKind(nested: Subject, self: () => Cls): fc.Arbitrary<Pick<FieldSpec, 'decorators' | 'valid'>> {
  type Kind = fc.Arbitrary<readonly [readonly PropertyDecorator[], fc.Arbitrary<unknown>]>;
  const one = optionsWith(fc.constant(false));
  const each = optionsWith(fc.constant(true));
  const more = fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: anyOf(allRules, 1, 2, anyEach) });
  const single = fc
    .tuple(fc.constantFrom(...textRules, ...numberRules, ...otherRules), one, more)
    .map(([[make, ...good], o, others]) => [[make(o), ...others], fc.constantFrom(...good)] as const);
  const list = fc
    .tuple(fc.constantFrom(...textRules, ...numberRules), each, anyOf(arrayRules, 0, 1, one), more)
    .map(([[make, ...good], o, rules, others]) => {
      return [[make(o), ...rules, ...others], fc.array(mostly(fc.constantFrom(...good), 60), { minLength: 1, maxLength: 3 })] as const;
    });
  const converted = fc
    .tuple(fc.constantFrom<unknown>(Number, String, Boolean, Date, Object), anyOf(allRules, 1, 1, anyEach))
    .map(([type, rules]) => [[Type(() => type as Cls), ...rules], fc.oneof(number, text, fc.array(number, { maxLength: 3 }))] as const);
  const object = anyEach.map((o) => [[Type(() => nested.cls), v.ValidateNested(o)], nested.payload] as const);
  const objects = fc.tuple(anyOf(arrayRules.slice(0, 6), 0, 1, one), anyEach).map(([rules, o]) => {
    return [
      [Type(() => nested.cls), v.ValidateNested(o), ...rules],
      fc.array(mostly(nested.payload, 60), { minLength: 1, maxLength: 3 }),
    ] as const;
  });
  const tree = fc.constant([[Type(() => self()), v.ValidateNested()], fc.constantFrom(null, undefined, {}, [], [{}, []])] as const);
  const random = anyOf(allRules, 0, 3, anyEach).map((rules) => [rules, wrong] as const);
  const weighted: [number, Kind][] = [
    [12, single],
    [5, list],
    [2, converted],
    [4, object],
    [4, objects],
    [1, tree],
    [1, random],
  ];
  return fc
    .oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })))
    .map(([rules, valid]) => ({ decorators: rules, valid }));
}

function classSpec(nested: Subject, parent: Subject | undefined): fc.Arbitrary<Subject> {
  let made: Cls;
  const self = () => made;
  const field = fc
    .tuple(
      fc.constantFrom(...NAMES),
      fieldKind(nested, self),
      presence,
      fc.infiniteStream(fc.nat()),
      fc.constantFrom<unknown>(...Array<undefined>(12), null, 'a', 4, []),
    )
    .map(([name, kind, more, order, initial]): FieldSpec => {
      const keyed = [...kind.decorators, ...more].map((decorator) => [order.next().value as number, decorator] as const);
      return { name, valid: kind.valid, initial, decorators: keyed.toSorted(([a], [b]) => a - b).map(([, decorator]) => decorator) };
    });
  const shape = fc.record({
    fields: fc.uniqueArray(field, { selector: ({ name }) => name, minLength: 1, maxLength: 5 }),
    defined: fc.boolean(),
    inherits: fc.boolean(),
    obstacle: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...obstacles) }),
  });
  return shape.map(({ fields, defined, inherits, obstacle }) => {
    const base = inherits && parent ? parent.cls : class {};
    const cls = class Payload extends base {
      constructor() {
        super();
        for (const { name, initial } of fields) {
          if (defined || initial !== undefined) Object.assign(this, { [name]: Array.isArray(initial) ? [] : initial });
        }
      }
    };
    for (const { name, decorators } of fields) for (const decorate of decorators) decorate(cls.prototype, name);
    if (obstacle) obstacle(cls.prototype, fields[0]!.name);
    made = cls;
    const own = fc.record(Object.fromEntries(fields.map(({ name, valid }) => [name, mostly(valid)])), { noNullPrototype: true });
    const complete = inherits && parent ? fc.tuple(parent.payload, own).map(([a, b]) => (isObject(a) ? { ...a, ...b } : b)) : own;
    const mutated = fc
      .tuple(complete, fc.subarray(fields.map(({ name }) => name)), fc.dictionary(key, json, { maxKeys: 1, noNullPrototype: true }))
      .map(([payload, kept, extra]) => ({
        ...Object.fromEntries(Object.entries(payload).filter(([name]) => kept.includes(name))),
        ...extra,
      }));
    const either = fc.oneof({ weight: 5, arbitrary: complete }, { weight: 2, arbitrary: mutated });
    return {
      cls,
      payload: fc.oneof(
        { weight: 30, arbitrary: either },
        { weight: 1, arbitrary: either.map((from) => Object.assign(Object.create(cls.prototype) as object, from)) },
      ),
    };
  });
}

const LEAF: Subject = (() => {
  class Leaf {
    sku: unknown;
    qty = 1;
  }
  return {
    cls: Leaf,
    payload: fc.record({ sku: mostly(text, 60), qty: mostly(fc.integer({ min: 1, max: 5 }), 60) }, { noNullPrototype: true }),
  };
})();
const subject = classSpec(LEAF, undefined)
  .chain((middle) => classSpec(middle, LEAF))
  .chain((root) => fc.oneof({ weight: 3, arbitrary: fc.constant(root) }, { weight: 1, arbitrary: classSpec(root, root) }));

// ---- the libraries, as they are ---------------------------------------------------------------------------------------

interface Expected {
  readonly instance?: object;
  readonly errors: readonly string[];
}

/** What the libraries are told about fields that a class does not declare. */
const WHITELIST: Readonly<Record<UnknownFields, ValidatorOptions>> = {
  refuse: { whitelist: true, forbidNonWhitelisted: true },
  strip: { whitelist: true },
  keep: {},
};

function libraries(cls: Cls, payload: object, unknownFields: UnknownFields): Expected | 'throws' {
  try {
    const instance = plainToInstance(cls, payload);
    const tree = v.validateSync(instance, { ...WHITELIST[unknownFields], forbidUnknownValues: true });
    return tree.length === 0 ? { instance, errors: [] } : { errors: tree.flatMap((error) => lines(error, [])).slice(0, 100) };
  } catch {
    return 'throws';
  }
}

type Steps = readonly (string | number)[];

function lines(error: ValidationError, above: Steps): string[] {
  const at = error.property === undefined ? above : [...above, Array.isArray(error.target) ? Number(error.property) : error.property];
  const own = Object.entries(error.constraints ?? {}).map(([rule, said]) => [pathOf(at), rule, (said ?? '').slice(0, 200)].join(' # '));
  return [...own, ...(error.children ?? []).flatMap((child) => lines(child, at))];
}

function pathOf(at: Steps): string {
  return at.reduce<string>((path, step) => {
    if (typeof step === 'number') return `${path}[${step}]`;
    if (/^[a-z_$][a-z0-9_$]*$/i.test(step)) return path ? `${path}.${step}` : step;
    return `${path}[${JSON.stringify(step)}]`;
  }, '');
}

// ---- the comparison ---------------------------------------------------------------------------------------------------

const seen = { classes: 0, compiled: 0, inputs: 0, accepted: 0, refused: 0, rejected: 0, threw: 0 };

function expectAgreement(cls: Cls, payload: unknown, unknownFields: UnknownFields): void {
  seen.inputs += 1;
  const actual = payloadValidator(cls, unknownFields).validate(payload);
  if (actual instanceof Promise) throw new Error('a promise for synchronous rules');
  if (!isRecord(payload)) {
    expect(actual).toMatchObject({ ok: false, errors: [{ path: '', rule: 'isObject' }] });
    return;
  }
  const errors = actual.ok ? [] : actual.errors.map(({ path, rule, message: said }) => [path, rule, said.slice(0, 200)].join(' # '));
  // What is inside a field that is stripped is not looked at.
  const keysAreRefused = errors.length > 0 && errors.every((error) => error.includes('whitelistValidation'));
  if (hasInheritedKey(payload) && (unknownFields !== 'strip' || keysAreRefused)) {
    seen.refused += 1;
    expect(keysAreRefused).toBe(true);
    return;
  }
  const expected = libraries(cls, payload, unknownFields);
  if (expected === 'throws') {
    seen.threw += 1;
    // Those throw at such a name also inside a field that is stripped.
    if (!hasInheritedKey(payload)) expect(errors.length).toBeGreaterThan(0);
    return;
  }
  if (!isDeepStrictEqual(errors, expected.errors)) expect(errors).toEqual(expected.errors);
  if (!actual.ok) {
    seen.rejected += 1;
    return;
  }
  seen.accepted += 1;
  const different = difference(actual.value, expected.instance);
  if (different) expect(different).toBe('');
}

/** Plain JSON for a class without obstacles never needs the libraries' verdict: generated code accepts, or errors are found. */
function expectDecided(plan: Plan, accept: Accept, payload: unknown, unknownFields: UnknownFields): void {
  if (!isRecord(payload) || hasInheritedKey(payload) || !isJson(payload)) return;
  const accepted = accept(payload) !== undefined;
  const builder = new Builder(unknownFields);
  const errors = attempt(() => explain(builder.object(payload, plan.root), plan.root, builder.strangers > 0));
  // An object where @Type asks for a number is left to the libraries, so both may decline.
  const agreed = errors === undefined ? !accepted && converts(plan.root) : accepted === (errors.length === 0);
  if (!agreed) expect({ accepted, errors }).toBe('in agreement');
}

function converts(plan: ClassPlan, above: readonly ClassPlan[] = []): boolean {
  return [...plan.fields.values()].some(({ type }) => {
    if (type === undefined) return false;
    return !('cls' in type) || (!above.includes(type) && converts(type, [...above, plan]));
  });
}

function hasInheritedKey(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasInheritedKey);
  return isRecord(value) && Object.entries(value).some(([name, inner]) => INHERITED_KEYS.has(name) || hasInheritedKey(inner));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isRecord(value: unknown): value is object {
  return Object.prototype.toString.call(value) === '[object Object]';
}

function isJson(value: unknown): boolean {
  if (!isObject(value)) return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  const plain = Array.isArray(value) ? Object.keys(value).length === value.length : Object.getPrototypeOf(value) === Object.prototype;
  return plain && Object.values(value).every(isJson);
}

/** Where two instances differ: prototypes and the order of names count, NaN equals NaN. */
function difference(a: unknown, b: unknown, path = '$'): string {
  if (Object.is(a, b)) return '';
  if (!isObject(a) || !isObject(b)) return `${path}: ${inspect(a)}, ${inspect(b)}`;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: prototypes`;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime()) ? '' : `${path}: ${String(a)}, ${String(b)}`;
  if (!isRecord(a) && !Array.isArray(a)) return isDeepStrictEqual(a, b) ? '' : `${path}: ${inspect(a)}, ${inspect(b)}`;
  const [names, others] = [Object.keys(a), Object.keys(b)];
  if (names.join() !== others.join()) return `${path}: names ${names.join()}, ${others.join()}`;
  return names.map((name) => difference(a[name as never], b[name as never], `${path}.${name}`)).join('');
}

function decoratorsOf(cls: Cls): string {
  const storage = v.getMetadataStorage();
  const all = storage.getTargetValidationMetadatas(cls, '', false, false);
  return all.map((m) => `${m.propertyName}: ${m.name ?? m.type}(${inspect(m.constraints)}) each ${String(m.each)}`).join('\n');
}

const storages = [v.getMetadataStorage(), transformStorage!]
  .flatMap((storage) => Object.values(storage as object))
  .filter((map) => map instanceof Map);
for (const decorate of [Type(() => String), v.IsString(), v.Length(1, 5)]) decorate(LEAF.cls.prototype, 'sku');
for (const decorate of [v.IsInt(), v.Min(1)]) decorate(LEAF.cls.prototype, 'qty');
const kept = storages.map((map) => new Map(map));

/** The libraries keep every class for ever and search them one by one; thousands would make them crawl. */
function forgetClasses(): void {
  for (const [index, map] of storages.entries()) {
    map.clear();
    for (const [key_, value] of kept[index]!) map.set(key_, value);
  }
  instances.clear();
}

const instances = new Map<unknown, object>();

describe('a compiled validator', () => {
  beforeAll(() => {
    const get = (cls: unknown): object => {
      const known = instances.get(cls) ?? new (cls as Cls)();
      instances.set(cls, known);
      return known;
    };
    v.useContainer({ get: get as <T>(cls: unknown) => T });
  });

  it(
    `agrees with class-transformer and class-validator on ${RUNS} payloads of random classes`,
    () => {
      const treatment = fc.constantFrom<UnknownFields>('refuse', 'strip', 'keep');
      const withInputs = fc
        .tuple(subject, treatment)
        .chain(([{ cls, payload }, unknownFields]) =>
          fc
            .array(mostly(payload, 40), { minLength: INPUTS_PER_CLASS, maxLength: INPUTS_PER_CLASS })
            .map((payloads) => ({ cls, payloads, unknownFields, [fc.toStringMethod]: () => '(below)' })),
        );
      fc.assert(
        fc.property(withInputs, ({ cls, payloads, unknownFields }) => {
          const plan = planOf(cls);
          const accept = plan.obstacles.length === 0 ? compile(plan.root, unknownFields) : undefined;
          seen.classes += 1;
          if (accept) seen.compiled += 1;
          for (const payload of payloads) {
            try {
              expectAgreement(cls, payload, unknownFields);
              if (accept) expectDecided(plan, accept, payload, unknownFields);
            } catch (cause) {
              throw new Error(`unknown fields: ${unknownFields}\n${decoratorsOf(cls)}\n${inspect(payload, { depth: 9 })}`, { cause });
            }
          }
          if (seen.classes % 10 === 0) forgetClasses();
        }),
        { numRuns: Math.ceil(RUNS / INPUTS_PER_CLASS), endOnFailure: true },
      );
      if (RUNS > 10_000) process.stderr.write(`${JSON.stringify(seen)}\n`);
      expect(seen.inputs).toBeGreaterThanOrEqual(RUNS);
      expect(seen.compiled / seen.classes).toBeGreaterThan(0.5);
      for (const share of [seen.accepted, seen.rejected]) expect(share / seen.inputs).toBeGreaterThan(0.03);
    },
    300_000 + 5 * RUNS,
  );
});
