import { unicodePattern } from './pattern.js';
import { ANY, exceptValues, onlyValues, typeOf, verdict, type Verdict } from './verdict.js';

/** What a rule means for JSON. `exact`: no value that the rule refuses is taken. */
export interface Meaning {
  readonly verdict: Verdict;
  readonly exact: boolean;
}

type Reading = (constraints: readonly unknown[]) => Meaning;

const exactly = (taken: Verdict): Meaning => ({ verdict: taken, exact: true });
const roughly = (taken: Verdict): Meaning => ({ verdict: taken, exact: false });

const STRING = verdict(['string']);
const NUMBER = verdict(['number']);
const ARRAY = verdict(['array']);
const text = (pattern: string): Verdict => verdict(['string'], { pattern });
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isJson = (value: unknown): boolean => typeOf(value) !== undefined;

/** class-validator does not count U+FE0E and U+FE0F, which choose how the character before them looks; JSON Schema does. */
const SELECTORS = '[\\uFE0E\\uFE0F]';

function length(min: unknown, max: unknown): Meaning {
  const least = isNumber(min) && min > 0 ? { minLength: Math.ceil(min) } : {};
  const most = isNumber(max) && max >= 0 ? { anyOf: [{ maxLength: Math.floor(max) }, { pattern: SELECTORS }] } : {};
  return {
    verdict: verdict(['string'], { ...least, ...most }),
    exact: [min, max].every((end) => end === undefined || isNumber(end)),
  };
}

/** A limit that is no number makes the rule fail always; a schema would not compile. */
function limit(type: 'number' | 'array', keyword: string, value: unknown, least = Number.NEGATIVE_INFINITY): Meaning {
  if (!isNumber(value)) return roughly(verdict([type]));
  return exactly(verdict([type], value > least ? { [keyword]: value } : {}));
}

function values(list: unknown): readonly unknown[] | undefined {
  return Array.isArray(list) ? list.filter(isJson) : undefined;
}

function among(list: readonly unknown[] | undefined): Meaning {
  return list === undefined || list.length === 0 ? roughly(ANY) : exactly(onlyValues([...new Set(list)]));
}

function contained(seed: unknown, wanted: boolean): Meaning {
  // Of an empty text the rule says something odd.
  if (typeof seed !== 'string' || seed === '' || !seed.isWellFormed()) return roughly(STRING);
  const pattern = seed.replace(/[$()*+./?[\\\]^{|}]/g, '\\$&');
  return exactly(wanted ? text(pattern) : verdict(['string'], { not: { type: 'string', pattern } }));
}

function matching(pattern: unknown, modifiers: unknown): Meaning {
  const expression = pattern instanceof RegExp ? pattern : expressionOf(pattern, modifiers);
  const translated = expression && unicodePattern(expression);
  if (!translated) return roughly(STRING);
  const { source, astral } = translated;
  if (astral === 'same') return exactly(text(source));
  return roughly(verdict(['string'], { anyOf: [{ pattern: source }, { pattern: '[\\u{10000}-\\u{10FFFF}]' }] }));
}

function expressionOf(pattern: unknown, modifiers: unknown): RegExp | undefined {
  try {
    return new RegExp(pattern as string, modifiers as string | undefined);
  } catch {
    return undefined;
  }
}

function arrayContains(list: unknown, wanted: boolean): Meaning {
  const all = values(list);
  if (!all || all.length !== (list as unknown[]).length || all.length === 0) return roughly(ARRAY);
  if (!wanted) return exactly(verdict(['array'], { not: { type: 'array', contains: { enum: all } } }));
  return exactly(verdict(['array'], { allOf: all.map((value) => ({ contains: { const: value } })) }));
}

function english(pattern: string): Reading {
  return ([locale]) => (locale === undefined || locale === 'en-US' ? exactly(text(pattern)) : roughly(STRING));
}

/** Rules that take strings of a form that a pattern can only bound: what it refuses, the rule refuses. */
const FORMS: Readonly<Record<string, string>> = {
  isDateString: '^[+-]?[0-9]{4}',
  isEmail: '@',
  isHexColor: '^#?[0-9A-Fa-f]{3,8}$',
  isIso8601: '^[+-]?[0-9]{4}',
  isMongoId: '^[0-9A-Za-z]{24}$',
  isNumberString: '[0-9]$',
  isUrl: '^[^\\s<>]+$',
  isUuid: '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$',
};

/** Rules that take strings of a form that is left to the worker. */
const TEXTS = (
  'isAscii isBIC isBase32 isBase58 isBase64 isBooleanString isBtcAddress isByteLength isCreditCard isCurrency isDataURI isDecimal isEAN ' +
  'isEthereumAddress IsFirebasePushId isFqdn isFullWidth isHalfWidth isHash isHexadecimal isHSL isIBAN isIdentityCard isIp isIsbn isIsin ' +
  'isISO31661Alpha2 isISO31661Alpha3 isISO31661Numeric isISO4217CurrencyCode isISO6391 isISRC isISSN isJson isJwt isLatLong isLocale ' +
  'isLowercase isMacAddress isMagnetURI isMilitaryTime isMimeType isMobilePhone isMultibyte isOctal isPassportNumber isPhoneNumber isPort ' +
  'isPostalCode isRFC3339 isRgbColor isSemVer isStrongPassword isSurrogatePair isTaxId isTimeZone isUppercase isVariableWidth'
).split(' ');

/** Rules that ask for a Date, which only a conversion makes: of no array, and not of null. */
const DATES = ['isDate', 'maxDate', 'minDate'];

const READINGS: ReadonlyMap<string, Reading> = new Map<string, Reading>([
  ...TEXTS.map((name): [string, Reading] => [name, () => roughly(STRING)]),
  ...Object.entries(FORMS).map(([name, pattern]): [string, Reading] => [name, () => roughly(text(pattern))]),
  ...DATES.map((name): [string, Reading] => [name, () => roughly(verdict(['boolean', 'number', 'string', 'object']))]),
  ['arrayContains', ([list]) => arrayContains(list, true)],
  ['arrayMaxSize', ([max]) => sized('maxItems', max, Math.floor)],
  ['arrayMinSize', ([min]) => sized('minItems', min, Math.ceil)],
  ['arrayNotContains', ([list]) => arrayContains(list, false)],
  ['arrayNotEmpty', () => exactly(verdict(['array'], { minItems: 1 }))],
  // Objects that look alike are different to it, and its function cannot be read.
  ['arrayUnique', () => roughly(ARRAY)],
  ['contains', ([seed]) => contained(seed, true)],
  ['equals', ([value]) => (isJson(value) ? exactly(onlyValues([value])) : roughly(ANY))],
  ['isAlpha', english('^[A-Za-z]+$')],
  ['isAlphanumeric', english('^[0-9A-Za-z]+$')],
  ['isArray', () => exactly(ARRAY)],
  ['isBoolean', () => exactly(verdict(['boolean']))],
  ['isDefined', () => exactly(exceptValues([null]))],
  ['isDivisibleBy', () => roughly(NUMBER)],
  ['isEmpty', () => exactly(onlyValues(['', null]))],
  ['isEnum', ([entity]) => among(Object.values(entity ?? {}).filter(isJson))],
  ['isIn', ([list]) => among(values(list))],
  ['isInstance', () => roughly(ANY)],
  ['isInt', () => exactly(verdict(['number'], { type: 'integer' }))],
  ['isLatitude', () => roughly(verdict(['number', 'string']))],
  ['isLength', ([min, max]) => length(min, max)],
  ['isLongitude', () => roughly(verdict(['number', 'string']))],
  ['isNegative', () => exactly(verdict(['number'], { exclusiveMaximum: 0 }))],
  ['isNotEmpty', () => exactly({ ...exceptValues([null]), string: { schemas: [{ minLength: 1 }] } })],
  ['isNotEmptyObject', ([options]) => notEmptyObject(options)],
  ['isNotIn', ([list]) => exactly(exceptValues(values(list) ?? []))],
  ['isNumber', ([options]) => isNumberWith(options)],
  ['isObject', () => exactly(verdict(['object']))],
  ['isPositive', () => exactly(verdict(['number'], { exclusiveMinimum: 0 }))],
  ['isString', () => exactly(STRING)],
  ['matches', ([pattern, modifiers]) => matching(pattern, modifiers)],
  ['max', ([max]) => limit('number', 'maximum', max)],
  ['maxLength', ([max]) => length(0, max)],
  ['min', ([min]) => limit('number', 'minimum', min)],
  ['minLength', ([min]) => length(min, undefined)],
  ['notContains', ([seed]) => contained(seed, false)],
  ['notEquals', ([value]) => exactly(exceptValues(isJson(value) ? [value] : []))],
]);

function sized(keyword: 'minItems' | 'maxItems', size: unknown, round: (size: number) => number): Meaning {
  if (!isNumber(size) || (keyword === 'maxItems' && size < 0)) return roughly(ARRAY);
  return limit('array', keyword, round(size), keyword === 'minItems' ? 0 : undefined);
}

function notEmptyObject(options: unknown): Meaning {
  const taken = verdict(['object'], { minProperties: 1 });
  return (options as { nullable?: unknown } | undefined)?.nullable === false ? roughly(taken) : exactly(taken);
}

function isNumberWith(options: unknown): Meaning {
  return (options as { maxDecimalPlaces?: unknown } | undefined)?.maxDecimalPlaces === undefined ? exactly(NUMBER) : roughly(NUMBER);
}

/** The rules of class-validator whose meaning for JSON is known here. */
export const KNOWN_RULES: ReadonlySet<string> = new Set(READINGS.keys());

/** What a rule of class-validator takes, at least; undefined for one that is not known here. Never throws. */
export function meaningOf(rule: string, constraints: readonly unknown[]): Meaning | undefined {
  try {
    return READINGS.get(rule)?.(constraints);
  } catch {
    // A getter of the user's among the constraints.
    return undefined;
  }
}
