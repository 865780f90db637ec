import * as classValidator from 'class-validator';
import { getMetadataStorage, type ValidationArguments, type ValidatorConstraintInterface } from 'class-validator';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import { attempt } from '../validation/libraries.js';
import { instanceOf } from '../validation/metadata.js';
import { KNOWN_RULES } from './rule-verdicts.js';

/** The check of a decorator, and its name. */
export interface RuleCheck {
  readonly name: string;
  readonly constraint: ValidatorConstraintInterface;
}

/** The check behind a rule, or undefined for what is asynchronous, made of several, or has no name. */
export function checkOf(metadata: ValidationMetadata): RuleCheck | undefined {
  const [constraint, ...more] = getMetadataStorage().getTargetValidatorConstraints(metadata.constraintCls);
  if (!constraint || more.length > 0 || constraint.async || constraint.target.name !== 'CustomConstraint') return undefined;
  const instance = attempt(() => instanceOf(constraint));
  return instance && { name: constraint.name, constraint: instance };
}

/** Values that tell checks apart. */
const PROBES: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  1,
  -1,
  2,
  7,
  0.5,
  1e21,
  [],
  [1],
  ['a'],
  [null],
  {},
  { a: 1 },
  '',
  ' ',
  'a',
  'A',
  'ab',
  '0',
  '1',
  '42',
  '-1.5',
  'true',
  'null',
  '2024-02-28',
  '2024-02-28T10:00:00Z',
  'a@b.de',
  'http://a.de',
  '127.0.0.1',
  'x'.repeat(300),
];

/** Rules whose decorators keep their options to themselves: of texts, no two of them need agree. */
const CLOSED = new Set(['isDateString', 'isIBAN', 'isMacAddress', 'arrayUnique']);

/**
 * Whether the check is class-validator's own. A decorator of the user's may have the name of a built-in one, and takes what it
 * likes: so the check has to say what the built-in one says, and to decide as it does.
 */
export function isGenuine({ name, constraint }: RuleCheck, metadata: ValidationMetadata): boolean {
  const own = ownChecks().get(name);
  if (!own) return false;
  const decides = (check: ValidatorConstraintInterface, value: unknown): unknown =>
    attempt(() => Boolean(check.validate(value, argumentsFor(metadata, value)))) ?? false;
  const says = (check: ValidatorConstraintInterface): string | undefined =>
    attempt(() => check.defaultMessage?.(argumentsFor(metadata, ''))?.replace('each value in ', ''));
  if (says(constraint) !== says(own)) return false;
  const probes = CLOSED.has(name)
    ? PROBES.filter((value) => typeof value !== 'string' && !Array.isArray(value))
    : [...PROBES, ...nearby(metadata)];
  return probes.every((value) => decides(constraint, value) === decides(own, value));
}

/** Values at the limits that a decorator was given. */
function nearby({ constraints }: ValidationMetadata): readonly unknown[] {
  return (Array.isArray(constraints) ? constraints : []).flatMap((value: unknown): unknown[] => {
    if (typeof value === 'number') return [value - 1, value, value + 1, String(value)];
    return typeof value === 'string' ? [value, `${value} `, [value]] : [];
  });
}

export function argumentsFor(metadata: ValidationMetadata, value: unknown): ValidationArguments {
  const target = metadata.target as { readonly name: string };
  return { targetName: target.name, property: metadata.propertyName, object: {}, value, constraints: metadata.constraints as unknown[] };
}

let own: ReadonlyMap<string, ValidatorConstraintInterface> | undefined;

/** The check of each decorator of the library, from a class that is never validated. */
function ownChecks(): ReadonlyMap<string, ValidatorConstraintInterface> {
  if (own) return own;
  class Specimen {}
  const arguments_: Readonly<Record<string, readonly unknown[]>> = { IsEnum: [{}] };
  for (const [name, decorator] of Object.entries(classValidator) as [string, (...args: unknown[]) => unknown][]) {
    if (!/^(?:Is|Array|Contains|NotContains|Equals|NotEquals|Length|Matches|Max|Min)/.test(name) || typeof decorator !== 'function')
      continue;
    attempt(() => (decorator(...(arguments_[name] ?? [])) as PropertyDecorator)(Specimen.prototype, name));
  }
  const storage = getMetadataStorage();
  const checks = storage.getTargetValidationMetadatas(Specimen, '', false, false).flatMap((metadata) => checkOf(metadata) ?? []);
  return (own = new Map(checks.filter(({ name }) => KNOWN_RULES.has(name)).map(({ name, constraint }) => [name, constraint])));
}
