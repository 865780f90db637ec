import 'reflect-metadata';
import { payloadSchema, payloadValidator } from '@loopstack/core';
import { schemaCheck } from '@loopstack/nats';
import { IntersectionType, OmitType, PartialType, PickType } from '@nestjs/mapped-types';
import type { JsonSchema } from '@loopstack/shared';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import * as v from 'class-validator';
import type { ValidationOptions } from 'class-validator';
import fc from 'fast-check';
import { inspect } from 'node:util';

// The long form: LOOPSTACK_PROPERTY_RUNS=100000 classes.
const CLASSES = Number(process.env['LOOPSTACK_PROPERTY_RUNS'] ?? 400);
const PAYLOADS = 40;

type Cls = new () => object;
type Options = ValidationOptions;
/** A decorator, and values that it takes. */
type Rule = readonly [decorate: (options?: Options) => PropertyDecorator, ...good: unknown[]];

enum Colour {
  Red = 'red',
  Green = 'green',
}
enum Level {
  Low,
  High = 7,
}
enum Mixed {
  None = 0,
  All = 'all',
}

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln';

/** Every decorator of class-validator that checks, at least once. */
const RULES: Readonly<Record<string, Rule>> = {
  ArrayContains: [(o) => v.ArrayContains(['a', 1, null], o), ['a', 1, null], [null, 1, 2, 'a']],
  ArrayMaxSize: [(o) => v.ArrayMaxSize(2, o), [], [1], ['a', {}]],
  'ArrayMaxSize of a fraction': [(o) => v.ArrayMaxSize(1.5, o), [], [1]],
  ArrayMinSize: [(o) => v.ArrayMinSize(1, o), [1], ['a', null]],
  ArrayNotContains: [(o) => v.ArrayNotContains(['b', null], o), [], ['a'], [['b']]],
  ArrayNotEmpty: [(o) => v.ArrayNotEmpty(o), [0]],
  ArrayUnique: [(o) => v.ArrayUnique(o), [{}, {}], [[], []], [1, '1'], [{ a: 1 }, { a: 1 }]],
  'ArrayUnique by a function': [(o) => v.ArrayUnique((one: unknown) => typeof one, o), [1, 'a'], []],
  Contains: [(o) => v.Contains('a?(', o), 'xa?(', 'a?('],
  'Contains an odd text': [(o) => v.Contains(']-\\/😀\n', o), ']-\\/😀\n'],
  'Contains nothing': [(o) => v.Contains('', o), 'ab', 'abc'],
  Equals: [(o) => v.Equals('a', o), 'a'],
  'Equals null': [(o) => v.Equals(null, o), null],
  'Equals an object': [(o) => v.Equals({}, o)],
  'Equals undefined': [(o) => v.Equals(undefined, o)],
  IsAlpha: [(o) => v.IsAlpha(undefined, o), 'aB'],
  'IsAlpha in German': [(o) => v.IsAlpha('de-DE', o), 'äß', 'a'],
  IsAlphanumeric: [(o) => v.IsAlphanumeric(undefined, o), 'a1'],
  'IsAlphanumeric in Greek': [(o) => v.IsAlphanumeric('el-GR', o), 'α1'],
  IsArray: [(o) => v.IsArray(o), [], [1], [[]]],
  IsAscii: [(o) => v.IsAscii(o), 'a'],
  IsBIC: [(o) => v.IsBIC(o), 'DEUTDEFF'],
  IsBase32: [(o) => v.IsBase32(o), 'MZXW6YTB'],
  IsBase58: [(o) => v.IsBase58(o), 'abc'],
  IsBase64: [(o) => v.IsBase64({}, o), 'YQ==', ''],
  IsBoolean: [(o) => v.IsBoolean(o), true, false],
  IsBooleanString: [(o) => v.IsBooleanString(o), 'true', '0'],
  IsBtcAddress: [(o) => v.IsBtcAddress(o), '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa'],
  IsByteLength: [(o) => v.IsByteLength(1, 4, o), 'ab', '😀'],
  IsCreditCard: [(o) => v.IsCreditCard(o), '4111 1111-1111 1111'],
  IsCurrency: [(o) => v.IsCurrency({}, o), '$1,000.50', '-1'],
  IsDataURI: [(o) => v.IsDataURI(o), 'data:,a'],
  IsDate: [(o) => v.IsDate(o), '2024-02-28', 5],
  IsDateString: [(o) => v.IsDateString({}, o), '2024-02-28', '2024', '2024-W01', '2024-02-28T10:00Z', '2024-02-28 10:00:00+01:00'],
  'IsDateString, strict': [(o) => v.IsDateString({ strict: true, strictSeparator: true }, o), '2024-02-28', '2024-02-28T10:00:00Z'],
  IsDecimal: [(o) => v.IsDecimal({}, o), '1.5', '-1'],
  IsDefined: [(o) => v.IsDefined(o), 0, '', false, [], {}],
  IsDivisibleBy: [(o) => v.IsDivisibleBy(3, o), 3, 0, -6, 3e30],
  IsEAN: [(o) => v.IsEAN(o), '73513537'],
  IsEmail: [(o) => v.IsEmail({}, o), 'a@b.de', 'ünal@b.de'],
  'IsEmail with a name': [(o) => v.IsEmail({ allow_display_name: true, require_tld: false }, o), 'A B <a@b>', 'a@localhost'],
  IsEmpty: [(o) => v.IsEmpty(o), '', null],
  IsEnum: [(o) => v.IsEnum(Colour, o), 'red', 'green'],
  'IsEnum of numbers': [(o) => v.IsEnum(Level, o), 0, 7, 'Low', 'High'],
  'IsEnum of both': [(o) => v.IsEnum(Mixed, o), 0, 'all', 'None'],
  'IsEnum of an array': [(o) => v.IsEnum(['a', 2, true], o), 'a', 2, true],
  IsEthereumAddress: [(o) => v.IsEthereumAddress(o), `0x${'a'.repeat(40)}`],
  IsFQDN: [(o) => v.IsFQDN({}, o), 'a.de'],
  IsFirebasePushId: [(o) => v.IsFirebasePushId(o), 'a'.repeat(20)],
  IsFullWidth: [(o) => v.IsFullWidth(o), 'ａ'],
  IsHSL: [(o) => v.IsHSL(o), 'hsl(10,10%,10%)'],
  IsHalfWidth: [(o) => v.IsHalfWidth(o), 'a'],
  IsHash: [(o) => v.IsHash('md5', o), 'a'.repeat(32)],
  IsHexColor: [(o) => v.IsHexColor(o), '#abc', 'AABBCCDD'],
  IsHexadecimal: [(o) => v.IsHexadecimal(o), '0xAB', 'ff'],
  IsIBAN: [(o) => v.IsIBAN({}, o), 'DE89 3704 0044 0532 0130 00', 'DE89370400440532013000'],
  IsIP: [(o) => v.IsIP(undefined, o), '127.0.0.1', '::1', 'fe80::1%eth0'],
  'IsIP of version 4': [(o) => v.IsIP(4, o), '127.0.0.1'],
  IsISBN: [(o) => v.IsISBN(undefined, o), '978-3-16-148410-0'],
  IsISIN: [(o) => v.IsISIN(o), 'US0378331005'],
  IsISO31661Alpha2: [(o) => v.IsISO31661Alpha2(o), 'DE', 'de'],
  IsISO31661Alpha3: [(o) => v.IsISO31661Alpha3(o), 'DEU'],
  IsISO31661Numeric: [(o) => v.IsISO31661Numeric(o), '276'],
  IsISO4217CurrencyCode: [(o) => v.IsISO4217CurrencyCode(o), 'EUR', 'eur'],
  IsISO6391: [(o) => v.IsISO6391(o), 'de'],
  IsISO8601: [(o) => v.IsISO8601({}, o), '2024-02', '+2024', '20240228', '2024-060'],
  IsISRC: [(o) => v.IsISRC(o), 'USAT29900609'],
  IsISSN: [(o) => v.IsISSN({}, o), '0378-5955'],
  IsIdentityCard: [(o) => v.IsIdentityCard('any' as never, o), '11010119900307271X'],
  IsIn: [(o) => v.IsIn(['a', 1, true, null], o), 'a', 1, true, null],
  'IsIn with undefined': [(o) => v.IsIn(['a', undefined, Number.NaN, {}], o), 'a'],
  'IsIn of nothing': [(o) => v.IsIn([], o)],
  IsInstance: [(o) => v.IsInstance(Object, o), {}, []],
  IsInt: [(o) => v.IsInt(o), 0, 1, -0, 1e21],
  IsJSON: [(o) => v.IsJSON(o), '{}', '[1]'],
  IsJWT: [(o) => v.IsJWT(o), JWT],
  IsLatLong: [(o) => v.IsLatLong(o), '1,2'],
  IsLatitude: [(o) => v.IsLatitude(o), 4, '52.5'],
  IsLocale: [(o) => v.IsLocale(o), 'de_DE'],
  IsLongitude: [(o) => v.IsLongitude(o), 179, '4'],
  IsLowercase: [(o) => v.IsLowercase(o), 'a', ''],
  IsMACAddress: [(o) => v.IsMACAddress({ no_separators: true }, o), '010203040506'],
  IsMagnetURI: [(o) => v.IsMagnetURI(o), `magnet:?xt=urn:btih:${'a'.repeat(40)}`],
  IsMilitaryTime: [(o) => v.IsMilitaryTime(o), '13:37', '1337'],
  IsMimeType: [(o) => v.IsMimeType(o), 'text/plain'],
  IsMobilePhone: [(o) => v.IsMobilePhone('de-DE', {}, o), '+4915123456789'],
  IsMongoId: [(o) => v.IsMongoId(o), 'a'.repeat(24), `0x${'a'.repeat(22)}`],
  IsMultibyte: [(o) => v.IsMultibyte(o), 'ü'],
  IsNegative: [(o) => v.IsNegative(o), -1, -1e-300],
  IsNotEmpty: [(o) => v.IsNotEmpty(o), 'a', 0, false, [], {}],
  IsNotEmptyObject: [(o) => v.IsNotEmptyObject({}, o), { a: null }],
  'IsNotEmptyObject, not nullable': [(o) => v.IsNotEmptyObject({ nullable: false }, o), { a: 1 }],
  IsNotIn: [(o) => v.IsNotIn(['b', 2, null], o), 'a', 1, {}, []],
  IsNumber: [(o) => v.IsNumber({}, o), 1, 0.5],
  'IsNumber of few places': [(o) => v.IsNumber({ maxDecimalPlaces: 2 }, o), 1, 0.25],
  IsNumberString: [(o) => v.IsNumberString({}, o), '1', '-.5'],
  'IsNumberString in German': [(o) => v.IsNumberString({ locale: 'de-DE' }, o), '1,5'],
  IsObject: [(o) => v.IsObject(o), {}, { a: [1] }],
  IsOctal: [(o) => v.IsOctal(o), '0o17', '7'],
  IsPassportNumber: [(o) => v.IsPassportNumber('DE', o), 'C01X00T47'],
  IsPhoneNumber: [(o) => v.IsPhoneNumber(undefined, o), '+49 30 123456'],
  IsPort: [(o) => v.IsPort(o), '80'],
  IsPositive: [(o) => v.IsPositive(o), 1, 1e-300],
  IsPostalCode: [(o) => v.IsPostalCode('any', o), '10115', 'SW1A 1AA'],
  IsRFC3339: [(o) => v.IsRFC3339(o), '2024-02-28T10:00:00Z'],
  IsRgbColor: [(o) => v.IsRgbColor(true, o), 'rgb(1,2,3)', 'rgb(1%,2%,3%)'],
  IsSemVer: [(o) => v.IsSemVer(o), '1.2.3'],
  IsString: [(o) => v.IsString(o), '', 'a', '❤️', 'x'.repeat(300)],
  IsStrongPassword: [(o) => v.IsStrongPassword({}, o), 'aA1!aA1!'],
  IsSurrogatePair: [(o) => v.IsSurrogatePair(o), '😀'],
  IsTaxId: [(o) => v.IsTaxId('de-DE', o), '02476291358'],
  IsTimeZone: [(o) => v.IsTimeZone(o), 'Europe/Berlin', 'utc'],
  IsUUID: [(o) => v.IsUUID(undefined, o), 'F47AC10B-58cc-4372-a567-0e02b2c3d479', '00000000-0000-0000-0000-000000000000'],
  'IsUUID of two versions': [(o) => v.IsUUID(['4', '7'] as never, o), 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  IsUppercase: [(o) => v.IsUppercase(o), 'A', ''],
  IsUrl: [(o) => v.IsUrl({}, o), 'a.de', 'http://a.de/ü?q=1#x', 'user:pw@a.de'],
  'IsUrl without a domain': [(o) => v.IsUrl({ require_tld: false, require_host: false }, o), 'http://localhost:80/', 'localhost'],
  IsVariableWidth: [(o) => v.IsVariableWidth(o), 'aａ'],
  Length: [(o) => v.Length(1, 2, o), 'a', '😀😀', '❤️❤️', 'é'],
  'Length of odd limits': [(o) => v.Length(1.5, 2.5, o), 'ab', '❤️❤️'],
  'Length without an end': [(o) => v.Length(2, undefined, o), 'ab'],
  Matches: [(o) => v.Matches(/^[a-z]+$/, o), 'a', 'abc'],
  'Matches in any case': [(o) => v.Matches(/^[a-z-]+\.x$/i, o), 'Ab.X', 'a-b.x'],
  'Matches a name': [(o) => v.Matches(/^[\w-.]+$/, o), 'a-b.c', '-'],
  'Matches old escapes': [(o) => v.Matches(new RegExp('^\\-\\_a\\/b{,2}\\}$'), o), '-_a/b{,2}}'],
  'Matches two units': [(o) => v.Matches(/^.{2}$/, o), '😀', 'ab'],
  'Matches no x': [(o) => v.Matches(/^[^x]{2}$/i, o), '😀', 'ab', 'éÉ'],
  'Matches half a pair': [(o) => v.Matches(/^\ud83d/, o), '😀'],
  'Matches lines': [(o) => v.Matches(/^b.$/ms, o), 'a\nb\n', 'bc'],
  'Matches a word of Unicode': [(o) => v.Matches(/^\p{L}+$/u, o), 'äß', '𝒳'],
  'Matches Unicode in any case': [(o) => v.Matches(/^[k-m\u017f]+$/iu, o), 'K', 'sſK'],
  'Matches sets': [(o) => v.Matches(new RegExp('^[[a-z]--[b]]+$', 'v'), o), 'ac'],
  'Matches by text': [(o) => v.Matches('^A$', 'i', o), 'a', 'A'],
  'Matches where it left off': [(o) => v.Matches(/b/y, o), 'b'],
  'Matches again': [(o) => v.Matches(/b/g, o), 'ab', 'bb'],
  'Matches the same twice': [(o) => v.Matches(/^(a|b)\1(?<n>x)\k<n>$/, o), 'aaxx', 'bbxx'],
  'Matches what is not ahead': [(o) => v.Matches(/^(?!ab)(?=.*1)[^]+(?<=1)$/, o), 'x1', '😀1'],
  Max: [(o) => v.Max(10, o), 10, -1, 0.5],
  'Max of infinity': [(o) => v.Max(Number.POSITIVE_INFINITY, o), 1e300],
  MaxDate: [(o) => v.MaxDate(new Date(1e13), o), '2024-02-28', 5],
  MaxLength: [(o) => v.MaxLength(2, o), 'ab', '', '❤️❤️', '👩‍'],
  Min: [(o) => v.Min(0, o), 0, 3, -0],
  'Min of nothing': [(o) => v.Min(Number.NaN, o)],
  MinDate: [(o) => v.MinDate(() => new Date(0), o), '2024-02-28', 5],
  MinLength: [(o) => v.MinLength(2, o), 'ab', '😀😀'],
  NotContains: [(o) => v.NotContains('x.', o), 'xa', '', 'x'],
  NotEquals: [(o) => v.NotEquals('x', o), 'a', 1, null, {}],
  'NotEquals null': [(o) => v.NotEquals(null, o), 'a', {}],
  'a custom rule': [(o) => v.ValidateBy({ name: 'isOurs', validator: { validate: () => true } }, o), 1, 'a', null, {}],
  'a custom rule that took the name of another': [
    (o) => v.ValidateBy({ name: v.IS_INT, validator: { validate: (value) => value === 'one' || value === 1 } }, o),
    'one',
    1,
  ],
  'a custom rule that says the same as another': [
    (o) =>
      v.ValidateBy(
        {
          name: v.MIN,
          constraints: [5],
          validator: { validate: (value) => Number(value) >= 5, defaultMessage: () => '$property must not be less than $constraint1' },
        },
        o,
      ),
    '5',
    6,
  ],
  'a registered rule': [
    (validationOptions) => (target, property) =>
      v.registerDecorator({
        name: 'isRegistered',
        target: target.constructor,
        propertyName: property as string,
        ...(validationOptions ? { options: validationOptions } : {}),
        validator: { validate: (value: unknown) => value !== 'b' },
      }),
    'a',
    1,
  ],
  'a rule of a class': [(o) => v.Validate(NotThree, [1], o ?? {}), 2, 'a'],
};

// ---- what changes or conditions a property ----------------------------------------------------------------------------

/** Decorators of a whole property, beside its rules. */
const MODIFIERS: Readonly<Record<string, () => PropertyDecorator>> = {
  IsOptional: () => v.IsOptional(),
  'IsOptional in a group': () => v.IsOptional({ groups: ['g'] }),
  IsDefined: () => v.IsDefined(),
  Allow: () => v.Allow(),
  'ValidateIf by another': () => v.ValidateIf((object: Record<string, unknown>) => object['flag'] !== true),
  'ValidateIf not null': () => v.ValidateIf((_, value) => value !== null),
  ValidatePromise: () => v.ValidatePromise(),
  'Type String': () => Type(() => String),
  'Type Number': () => Type(() => Number),
  'Type Boolean': () => Type(() => Boolean),
  'Type Date': () => Type(() => Date),
  'Type Object': () => Type(() => Object),
  'Type Array': () => Type(() => Array),
  'Type Map': () => Type(() => Map),
  'Type by the value': () => Type((help) => (help?.object['flag'] === true ? Number : String)),
  'Type of a Set': () => (target, property) => {
    Reflect.defineMetadata('design:type', Set, target, property);
    Type(() => String)(target, property);
  },
  'Type of a Map': () => (target, property) => {
    Reflect.defineMetadata('design:type', Map, target, property);
    Type(() => Number)(target, property);
  },
  'Type of an array': () => (target, property) => {
    Reflect.defineMetadata('design:type', Array, target, property);
    Type(() => Leaf)(target, property);
  },
  'Type without ValidateNested': () => Type(() => Leaf),
  'ValidateNested without Type': () => v.ValidateNested(),
  Transform: () =>
    Transform(
      ({ value }: { value: unknown }) => (Array.isArray(value) ? value[0] : typeof value === 'string' ? value.trim() : value) as unknown,
    ),
  'Transform to class': () => Transform(({ value }: { value: unknown }) => Number(value), { toClassOnly: true }),
  'Transform to plain': () => Transform(() => 'plain', { toPlainOnly: true }),
  'Transform in a group': () => Transform(() => 'grouped', { groups: ['g'] }),
  Exclude: () => Exclude(),
  'Exclude to class': () => Exclude({ toClassOnly: true }),
  'Exclude to plain': () => Exclude({ toPlainOnly: true }),
  Expose: () => Expose(),
  'Expose by a name': () => Expose({ name: 'renamed' }),
  'Expose to class': () => Expose({ name: 'renamed', toClassOnly: true }),
  'Expose to plain': () => Expose({ name: 'renamed', toPlainOnly: true }),
  'Expose in a group': () => Expose({ groups: ['g'] }),
  'Expose by the name of another': () => Expose({ name: 'b' }),
};

class NotThree {
  validate(value: unknown): boolean {
    return value !== 3;
  }
}

class Leaf {
  @v.IsString() @v.MaxLength(3) sku!: string;
  @v.IsInt() @v.IsOptional() n?: number | null = 1;
}

class Cat extends Leaf {
  @v.IsBoolean() purrs!: boolean;
}

class Dog {
  @v.IsIn(['dog']) kind!: string;
  @v.IsString({ each: true }) tricks!: string[];
}

const leaf = { sku: 'a', n: 2 };
const cat = { sku: 'a', purrs: true };
const dog = { kind: 'dog', tricks: ['sit'] };
const nested = [leaf, { sku: 'a' }, { sku: 'a', n: null }, [leaf], [[leaf], leaf], [], [[]], { ...leaf, more: 1 }, { sku: 'abcd' }, null];
const kinds = [
  cat,
  { ...cat, kind: 'cat' },
  dog,
  { ...dog, kind: 'dog' },
  { kind: 'cat', sku: 'a' },
  { kind: 'cow', ...leaf },
  [{ ...cat, kind: 'cat' }, dog],
  [[]],
];

const discriminator = (keep: boolean): (() => PropertyDecorator) => {
  return () =>
    Type(() => Leaf, {
      keepDiscriminatorProperty: keep,
      discriminator: {
        property: 'kind',
        subTypes: [
          { name: 'cat', value: Cat },
          { name: 'dog', value: Dog },
        ],
      },
    });
};

/** Properties that hold objects, and values for them. */
const NESTED: Readonly<Record<string, readonly [decorators: () => readonly PropertyDecorator[], values: readonly unknown[]]>> = {
  'an object': [() => [Type(() => Leaf), v.ValidateNested()], nested],
  'a list': [() => [v.IsArray(), Type(() => Leaf), v.ValidateNested({ each: true })], nested],
  'a short list of objects': [
    () => [v.ArrayMaxSize(2), v.IsObject({ each: true }), Type(() => Leaf), v.ValidateNested({ each: true })],
    nested,
  ],
  'an object that is one of several': [() => [discriminator(false)(), v.ValidateNested()], kinds],
  'an object that is one of several and says which': [() => [discriminator(true)(), v.ValidateNested({ each: true })], kinds],
  'an object of a class without rules': [() => [Type(() => class Empty {}), v.ValidateNested()], [{}, [], null]],
  'a subclass': [() => [Type(() => Cat), v.ValidateNested(), v.IsObject()], [cat, leaf, [cat]]],
};

// ---- classes ------------------------------------------------------------------------------------------------------------

const anything: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  2 ** 60,
  '',
  'a',
  'A',
  '1',
  ' a ',
  'red',
  '❤️',
  '😀',
  [],
  [null],
  ['a', 1],
  [['a']],
  {},
  { a: 1 },
  { length: 1 },
];

/** What comes near to a value: written as text, as a number, in arrays. */
function near(value: unknown): readonly unknown[] {
  const text = typeof value === 'string' || typeof value === 'number' ? [String(value), Number(value), `${value} `] : [];
  return [value, value, value, [value], [value, value], [[value]], [value, null], { a: value }, ...text.filter((one) => one === one)];
}

const ABSENT = Symbol('absent');

interface Field {
  readonly name: string;
  readonly what: string;
  readonly decorators: readonly PropertyDecorator[];
  readonly values: readonly unknown[];
  readonly initial: unknown;
}

const options = fc.constantFrom<(Options | undefined)[]>(
  undefined,
  undefined,
  undefined,
  { each: true },
  { each: true },
  { groups: ['g'] },
  { always: true },
  { always: false, groups: ['g', 'h'] },
  { message: 'wrong', context: { code: 1 } },
  { validateIf: (_: unknown, value: unknown) => value !== 'a' },
);

const ruled = fc.tuple(fc.constantFrom(...Object.entries(RULES)), options).map(([[name, [decorate, ...good]], option]) => ({
  what: `${name} ${option ? inspect(option) : ''}`,
  decorators: [decorate(option)],
  values: option?.each ? good.flatMap((value) => [...near(value), good]) : good.flatMap(near),
}));
const holding = fc
  .constantFrom(...Object.entries(NESTED))
  .map(([what, [decorators, values]]) => ({ what, decorators: decorators(), values }));
const modified = fc
  .oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 4, arbitrary: fc.constantFrom(...Object.entries(MODIFIERS)) })
  .map((entry) => ({ what: entry?.[0] ?? '', decorators: entry ? [entry[1]()] : [], values: [] as readonly unknown[] }));

const field = (name: string): fc.Arbitrary<Field> =>
  fc
    .tuple(
      fc.oneof({ weight: 6, arbitrary: ruled }, { weight: 2, arbitrary: holding }),
      fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: ruled }),
      modified,
      modified,
      fc.constantFrom<unknown>(undefined, undefined, undefined, undefined, null, 'a', 4, []),
      fc.boolean(),
    )
    .map(([base, rule, one, other, initial, reversed]) => {
      const all = [base, ...(rule ? [rule] : []), one, other];
      const decorators = all.flatMap((part) => part.decorators);
      return {
        name,
        what: all
          .map(({ what }) => what)
          .filter(Boolean)
          .join(' + '),
        decorators: reversed ? decorators.toReversed() : decorators,
        values: all.flatMap(({ values }) => values),
        initial,
      };
    });

interface Sample {
  readonly cls: Cls;
  readonly what: string;
  readonly payload: fc.Arbitrary<Record<string, unknown>>;
}

function classOf(fields: readonly Field[], base: Cls = class {}): Cls {
  const cls = class Payload extends base {
    constructor() {
      super();
      for (const { name, initial } of fields) if (initial !== undefined) Object.assign(this, { [name]: initial });
    }
  };
  for (const { name, decorators } of fields) for (const decorate of decorators) decorate(cls.prototype, name);
  return cls;
}

/** The class itself, and what @nestjs/mapped-types and the class decorators of class-transformer make of it. */
const SHAPES: Readonly<Record<string, (cls: Cls) => Cls>> = {
  itself: (cls) => cls,
  'a subclass': (cls) => class Payload extends cls {},
  'a subclass that declares a again': (cls) => {
    class Payload extends cls {}
    v.IsOptional()(Payload.prototype, 'a');
    v.IsString()(Payload.prototype, 'a');
    return Payload;
  },
  PartialType: (cls) => PartialType(cls) as Cls,
  'PartialType that keeps null': (cls) => PartialType(cls, { skipNullProperties: false }) as Cls,
  OmitType: (cls) => OmitType(cls as new () => Record<string, unknown>, ['a']) as Cls,
  PickType: (cls) => PickType(cls as new () => Record<string, unknown>, ['a', 'b']) as Cls,
  IntersectionType: (cls) => IntersectionType(cls, Leaf) as Cls,
  'a subclass of PartialType': (cls) => class Payload extends (PartialType(cls) as Cls) {},
  '@Exclude()': (cls) => {
    class Payload extends cls {}
    Exclude()(Payload);
    Expose()(Payload.prototype, 'a');
    return Payload;
  },
  '@Expose()': (cls) => {
    class Payload extends cls {}
    Expose()(Payload);
    return Payload;
  },
};

const sample: fc.Arbitrary<Sample> = fc
  .tuple(
    field('a'),
    field('b'),
    fc.boolean(),
    fc.oneof({ weight: 3, arbitrary: fc.constant('itself') }, { weight: 2, arbitrary: fc.constantFrom(...Object.keys(SHAPES)) }),
  )
  .map(([a, b, two, shape]) => {
    const fields = two ? [a, b] : [a];
    const cls = (SHAPES[shape] as (cls: Cls) => Cls)(classOf(fields));
    const value = (from: readonly unknown[]): fc.Arbitrary<unknown> =>
      fc.oneof(
        { weight: 10, arbitrary: fc.constantFrom(...from, ABSENT) },
        { weight: 2, arbitrary: fc.constantFrom(...anything) },
        { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
        { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 4 }) },
      );
    const names = { a: value(a.values), ...(two ? { b: value(b.values) } : {}) };
    const more = {
      renamed: fc.oneof({ weight: 3, arbitrary: fc.constant(ABSENT) }, { weight: 1, arbitrary: value(a.values) }),
      flag: fc.oneof({ weight: 20, arbitrary: fc.constant(ABSENT) }, { weight: 1, arbitrary: fc.boolean() }),
      sku: shape === 'IntersectionType' ? fc.constant('a') : fc.constant(ABSENT),
    };
    const payload = fc
      .tuple(fc.record({ ...names, ...more }), fc.boolean())
      .map(([record, reversed]) =>
        Object.entries(record)
          .filter(([, one]) => one !== ABSENT)
          .sort(() => (reversed ? -1 : 0)),
      )
      // As it comes from the wire: nothing of one payload is in another.
      .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as Record<string, unknown>);
    return {
      cls,
      what: `${shape}\n${fields.map(({ name, what, initial }) => `  ${name}: ${what} = ${inspect(initial)}`).join('\n')}`,
      payload,
    };
  });

// ---- the property --------------------------------------------------------------------------------------------------------

const check = schemaCheck();
const tally = { accepted: 0, refusedByBoth: 0, leftToTheWorker: 0 };

/** A schema is what a catalogue holds of it: its JSON. */
const schemaIn = (cls: Cls): JsonSchema => JSON.parse(JSON.stringify(payloadSchema(cls))) as JsonSchema;

/** As it comes from the wire. A clone would be of another realm, and no `instanceof Object`. */
const copyOf = <T>(payload: T): T => JSON.parse(JSON.stringify(payload)) as T;

async function judge(cls: Cls, schema: JsonSchema, payload: Record<string, unknown>): Promise<void> {
  const told = check(schema, copyOf(payload));
  const worker = await payloadValidator(cls).validate(copyOf(payload));
  if (worker.ok) {
    tally.accepted += 1;
    if (told.length > 0) throw new Error(`${JSON.stringify(told)}\n${JSON.stringify(schema, undefined, 1)}`);
  } else if (told.length > 0) tally.refusedByBoth += 1;
  else tally.leftToTheWorker += 1;
}

describe('what a worker accepts', () => {
  it(
    `its schema accepts, for ${CLASSES} random classes`,
    async () => {
      await fc.assert(
        fc.asyncProperty(
          sample.chain(({ cls, what, payload }) =>
            fc
              .array(payload, { minLength: PAYLOADS, maxLength: PAYLOADS })
              .map((payloads) => ({ cls, what, payloads, [fc.toStringMethod]: () => what })),
          ),
          async ({ cls, what, payloads }) => {
            const schema = schemaIn(cls);
            for (const payload of payloads) {
              try {
                await judge(cls, schema, payload);
              } catch (cause) {
                throw new Error(`${what}\n${JSON.stringify(payload)}\n${(cause as Error).message}`, { cause });
              }
            }
          },
        ),
        { numRuns: CLASSES, endOnFailure: true },
      );
      if (CLASSES > 400) process.stderr.write(`${JSON.stringify(tally)}\n`);
      const all = tally.accepted + tally.refusedByBoth + tally.leftToTheWorker;
      expect(tally.accepted / all).toBeGreaterThan(0.05);
      expect(tally.refusedByBoth / all).toBeGreaterThan(0.2);
    },
    120_000 + 100 * CLASSES,
  );

  it.each(Object.entries(RULES))('by %s its schema accepts', async (_, [decorate, ...good]) => {
    for (const each of [false, true]) {
      class Payload {
        a!: unknown;
      }
      decorate({ each })(Payload.prototype, 'a');
      const schema = schemaIn(Payload);
      for (const a of [ABSENT, ...anything, ...good.flatMap(near)])
        await judge(Payload, schema, a === ABSENT ? {} : (JSON.parse(JSON.stringify({ a })) as Record<string, unknown>));
    }
  });

  it('by each decorator that class-validator has is among these', () => {
    const decorators = Object.entries(v)
      .filter(
        ([name, value]) =>
          /^(?:Is|Array|Contains|NotContains|Equals|NotEquals|Length|Matches|Max|Min)/.test(name) && typeof value === 'function',
      )
      .map(([name]) => name);
    const known = [...Object.keys(RULES), ...Object.keys(MODIFIERS)];
    expect(decorators.length).toBeGreaterThan(95);
    expect(decorators.filter((name) => !known.some((one) => one.split(' ')[0]?.replace(',', '') === name))).toEqual([]);
  });
});

// ---- the cases -------------------------------------------------------------------------------------------------------------

class Base {
  @v.IsString() id!: string;
  @v.IsInt() @v.Min(1) count!: number;
}
class OnlyInherits extends Base {}
class Partial_ extends PartialType(Base) {}
class Omitted extends OmitType(Base, ['count'] as const) {}
class Picked extends PickType(Base, ['count'] as const) {}
class Both extends IntersectionType(Base, Leaf) {}

/** As in two files. */
const address = (name: string): Cls => {
  class Address {}
  v.IsString()(Address.prototype, name);
  return Address;
};
class Parties {
  @v.ValidateNested() from!: object;
  @v.ValidateNested() to!: object;
}
const [Sender, Receiver] = [address('city'), address('iban')];
Type(() => Sender)(Parties.prototype, 'from');
Type(() => Receiver)(Parties.prototype, 'to');

class Flags {
  @v.Matches(/^[a-z]+$/i) a!: string;
}
class OldPatterns {
  @v.Matches(/^[\w-.]+$/) a!: string;
  @v.Matches(new RegExp('^x\\-y$')) b!: string;
  @v.Contains('a?(') c!: string;
}
class Later {
  @v.ValidateNested() @Type(() => NoRules) a!: object;
  @v.IsOptional() @v.ValidateNested() @Type(() => Later) next?: Later;
}
class NoRules {}
class Dates {
  @v.IsDateString() a!: string;
}
class Link {
  @v.IsUrl() a!: string;
}
class NotEmpty {
  @v.IsNotEmpty() a!: unknown;
}
class Numbers {
  @v.IsEnum(Level) a!: Level;
}
class Converted {
  @Type(() => Number) @v.IsInt() @v.Min(1) a!: number;
  @Transform(({ value }: { value: string }) => value.split(',')) @v.IsArray() b!: string[];
  @Type(() => Date) @v.IsDate() c!: Date;
}
class Conditional {
  @v.ValidateIf(({ b }: Conditional) => b) @v.IsInt() a!: unknown;
  @v.IsBoolean() b!: boolean;
}
class Initial {
  @v.IsInt() a = 1;
}
class Pet {
  @v.IsString() name!: string;
}
class Bird extends Pet {
  @v.IsBoolean() sings!: boolean;
}
class Owner {
  @v.ValidateNested()
  @Type(() => Pet, { discriminator: { property: 'kind', subTypes: [{ name: 'bird', value: Bird }] } })
  pet!: Pet;
}
class Allowed {
  @v.Allow() a!: unknown;
}
class Renamed {
  @Expose({ name: 'order_id' }) @v.IsString() id!: string;
}
class Secret {
  @Exclude() @v.IsOptional() @v.IsInt() a?: number;
}
class Emoji {
  @v.MaxLength(1) a!: string;
}
class Grouped {
  @v.IsInt({ groups: ['create'] }) a!: number;
}
class Unique {
  @v.ArrayUnique() a!: unknown[];
}

const WERE_REFUSED: readonly (readonly [what: string, cls: Cls, payload: object])[] = [
  ['a class whose rules are all inherited', OnlyInherits, { id: 'a', count: 1 }],
  ['PartialType', Partial_, { id: 'a' }],
  ['PartialType with nothing', Partial_, { id: null }],
  ['OmitType', Omitted, { id: 'a' }],
  ['PickType', Picked, { count: 1 }],
  ['IntersectionType', Both, { id: 'a', count: 1, sku: 'b' }],
  ['two nested classes of one name', Parties, { from: { city: 'a' }, to: { iban: 'b' } }],
  ['a pattern in any case', Flags, { a: 'Abc' }],
  ['patterns of old expressions', OldPatterns, { a: 'a-b.c', b: 'x-y', c: 'xa?(' }],
  ['a class that is not there, in an array', Later, { a: [], next: { a: [] } }],
  ['a date without a time', Dates, { a: '2024-02-28' }],
  ['a time without milliseconds', Dates, { a: '2024-02-28T10:00:00Z' }],
  ['a URL without a protocol', Link, { a: 'example.com/path' }],
  ['a number that is not empty', NotEmpty, { a: 0 }],
  ['an enum of numbers', Numbers, { a: 7 }],
  ['the name of an enum of numbers', Numbers, { a: 'High' }],
  ['what @Type and @Transform convert', Converted, { a: '5', b: 'x,y', c: '2024-02-28' }],
  ['a date of milliseconds', Converted, { a: true, b: '', c: 5 }],
  ['@ValidateIf that says no', Conditional, { a: 'x', b: false }],
  ['a property with an initial value', Initial, {}],
  ['a discriminator', Owner, { pet: { kind: 'bird', name: 'a', sings: true } }],
  ['a discriminator that names no subtype', Owner, { pet: { kind: 'fish', name: 'a' } }],
  ['@Allow', Allowed, { a: { anything: [1] } }],
  ['@Allow, absent', Allowed, {}],
  ['@Expose by a name', Renamed, { order_id: 'a' }],
  ['@Exclude', Secret, { a: 'dropped' }],
  ['an emoji with a selector', Emoji, { a: '❤️' }],
  ['a group', Grouped, { a: 1 }],
  ['objects that look alike', Unique, { a: [{}, {}] }],
  ['an object in place of a list', Parties, { from: [{ city: 'a' }], to: [] }],
];

class Parcel {
  @v.IsString() @v.Length(2, 5) id!: string;
  @v.IsInt() @v.Min(1) @v.Max(9) count!: number;
  @v.IsEnum(Colour) colour!: Colour;
  @v.IsIn([1, 'two', null]) choice!: unknown;
  @v.IsBoolean() gift!: boolean;
  @v.IsArray() @v.ArrayMinSize(1) @v.ArrayMaxSize(2) @v.IsString({ each: true }) tags!: string[];
  @v.IsArray() @v.ValidateNested({ each: true }) @Type(() => Leaf) lines!: Leaf[];
  @v.ValidateNested() @v.IsObject() @Type(() => Leaf) first!: Leaf;
  @v.IsOptional() @v.IsUUID() uuid?: string;
  @v.IsOptional() @v.Matches(/^[a-z]+-\d$/i) code?: string;
  @v.IsOptional() @v.IsEmail() mail?: string;
  @v.IsOptional() @v.IsDateString() when?: string;
  @v.IsOptional() @v.IsUrl() link?: string;
  @v.IsOptional() @v.IsNotEmpty() note?: string;
  @v.IsOptional() @v.IsPositive() weight?: number;
  @v.IsOptional() @v.Contains('x') has?: string;
  @v.IsOptional() @v.ArrayContains(['a']) list?: string[];
  @v.IsOptional() @Type(() => Number) @v.IsInt() @v.Max(5) converted?: number;
}
const parcel = {
  id: 'p-1',
  count: 1,
  colour: 'red',
  choice: null,
  gift: false,
  tags: ['a'],
  lines: [leaf],
  first: leaf,
};

const PLAINLY_WRONG: readonly (readonly [path: string, change: object])[] = [
  ...['id', 'count', 'colour', 'choice', 'gift', 'tags', 'lines', 'first'].map((name) => [name, { [name]: undefined }] as const),
  ...Object.keys(parcel).flatMap((name) => (name === 'choice' ? [] : [[name, { [name]: null }] as const])),
  ['id', { id: 5 }],
  ['id', { id: 'a' }],
  ['id', { id: 'too long' }],
  ['count', { count: '1' }],
  ['count', { count: 1.5 }],
  ['count', { count: 0 }],
  ['count', { count: 10 }],
  ['colour', { colour: 'blue' }],
  ['colour', { colour: 1 }],
  ['choice', { choice: 'three' }],
  ['gift', { gift: 'true' }],
  ['tags', { tags: 'a' }],
  ['tags', { tags: [] }],
  ['tags', { tags: ['a', 'b', 'c'] }],
  ['tags[0]', { tags: [1] }],
  ['lines', { lines: leaf }],
  ['lines[0]', { lines: ['a'] }],
  ['lines[0].sku', { lines: [{ sku: 1 }] }],
  ['lines[0].sku', { lines: [{}] }],
  ['lines[0].more', { lines: [{ ...leaf, more: 1 }] }],
  ['first', { first: [leaf] }],
  ['first.n', { first: { sku: 'a', n: 'x' } }],
  ['uuid', { uuid: 'no' }],
  ['code', { code: 'a-b' }],
  ['mail', { mail: 'nobody' }],
  ['when', { when: 'tomorrow' }],
  ['link', { link: 'a link' }],
  ['note', { note: '' }],
  ['weight', { weight: -1 }],
  ['has', { has: 'a' }],
  ['list', { list: ['b'] }],
  ['converted', { converted: 6 }],
  ['more', { more: 1 }],
];

describe('a payload', () => {
  it.each(WERE_REFUSED)('is taken by the schema as by the worker: %s', async (_, cls, payload) => {
    expect(await payloadValidator(cls).validate(copyOf(payload))).toMatchObject({ ok: true });
    expect(check(schemaIn(cls), payload)).toEqual([]);
  });

  it('that is right is taken by the schema that refuses what is wrong', async () => {
    expect(await payloadValidator(Parcel).validate(parcel)).toMatchObject({ ok: true });
    expect(check(schemaIn(Parcel), parcel)).toEqual([]);
  });

  it.each([[{}], [{ order_id: 5 }], [{ order_id: null }], [{ order_id: 'a', other: 1 }]])(
    'under another name is held to its rules: %j',
    async (payload) => {
      expect(await payloadValidator(Renamed).validate(copyOf(payload))).toMatchObject({ ok: false });
      expect(check(schemaIn(Renamed), payload)).not.toEqual([]);
    },
  );

  it.each(PLAINLY_WRONG)('that is plainly wrong in %s is refused by the schema, too: %j', async (path, change) => {
    const payload = JSON.parse(JSON.stringify({ ...parcel, ...change })) as object;
    expect(await payloadValidator(Parcel).validate(copyOf(payload))).toMatchObject({ ok: false });
    expect(check(schemaIn(Parcel), payload).map((error) => error.path)).toContain(path);
  });
});
