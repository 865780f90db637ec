/** Longest pattern. */
const MAX_PATTERN = 20_000;

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
export const isText = (value: unknown): boolean => typeof value === 'string';
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText) && new Set(value).size === value.length;
const TYPES = new Set<unknown>(['null', 'boolean', 'number', 'integer', 'string', 'array', 'object']);
const isType = (value: unknown): boolean =>
  TYPES.has(value) || (isTexts(value) && (value as unknown[]).every((one) => TYPES.has(one)) && (value as unknown[]).length > 0);

/** What the value of a keyword must be that says something itself. */
export const ASSERTIONS: Readonly<Record<string, (value: unknown) => boolean>> = {
  type: isType,
  enum: (value) => Array.isArray(value) && value.length > 0,
  const: () => true,
  multipleOf: (value) => isNumber(value) && (value as number) > 0,
  maximum: isNumber,
  minimum: isNumber,
  exclusiveMaximum: isNumber,
  exclusiveMinimum: isNumber,
  maxLength: isCount,
  minLength: isCount,
  pattern: isPattern,
  maxItems: isCount,
  minItems: isCount,
  uniqueItems: isFlag,
  maxContains: isCount,
  minContains: isCount,
  maxProperties: isCount,
  minProperties: isCount,
  required: isTexts,
  dependentRequired: (value) => isFields(value) && Object.values(value).every(isTexts),
};

/** They say nothing about a value, and are kept for readers. */
export const ANNOTATIONS: Readonly<Record<string, (value: unknown) => boolean>> = {
  title: isText,
  description: isText,
  $comment: isText,
  format: isText,
  default: () => true,
  examples: Array.isArray,
  deprecated: isFlag,
};

/** Keywords of a schema, of a list of schemas, and of schemas by name. */
export const ONE = new Set([
  'additionalProperties',
  'propertyNames',
  'items',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
export const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
export const MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas']);
/** They take more where a part of them takes less: with anything left out inside they cannot stay. */
export const INVERTING = new Set(['not', 'if', 'then', 'else', 'unevaluatedItems', 'unevaluatedProperties', 'maxContains']);
/** They look at the very value that the schema around them looks at. */
export const IN_PLACE = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas']);

export function isPattern(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > MAX_PATTERN) return false;
  try {
    return Boolean(new RegExp(value, 'u'));
  } catch {
    return false;
  }
}
