import * as classValidator from 'class-validator';
import type { ValidationArguments, ValidatorConstraintInterface } from 'class-validator';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';

/** One check of one property, as a decorator of class-validator declared it. */
export interface Rule {
  readonly name: string;
  readonly each: boolean;
  /**
   * The decorator's own check and default message. It is called rather than written again, so what is compiled cannot
   * drift from the library, and a user's decorator that took the name of a built-in one is still the one that runs.
   */
  readonly constraint: ValidatorConstraintInterface;
  /** What the check is called with. */
  readonly args: ValidationArguments;
  readonly metadata: ValidationMetadata;
}

/**
 * Thrown where compiled checking must give way to a closer look by the libraries: the payload is not plain JSON, or a
 * check is not what its name says. One value without a stack; it costs next to nothing.
 */
export const CLOSER_LOOK: unknown = Object.freeze({ reason: 'closer look' });

/** The arguments of class-validator's own checks never change: they read `constraints` only. One that reads more is not its own. */
export class StaticArguments implements ValidationArguments {
  readonly property: string;
  readonly constraints: unknown[];

  constructor(
    readonly targetName: string,
    { propertyName, constraints }: ValidationMetadata,
  ) {
    this.property = propertyName;
    this.constraints = constraints;
  }

  get object(): never {
    throw CLOSER_LOOK;
  }

  get value(): never {
    throw CLOSER_LOOK;
  }
}

/**
 * The names of class-validator's own checks (`isInt`, `arrayMaxSize`, ...): synchronous functions of the value and the
 * decorator's parameters. Taken from the library's exported constants (`IS_INT = 'isInt'`), so that a new version
 * brings its new rules along.
 */
export const BUILT_IN_RULES: ReadonlySet<string> = new Set(
  Object.entries(classValidator)
    .filter(([constant, name]) => /^[A-Z0-9_]+$/.test(constant) && typeof name === 'string')
    .map(([, name]) => name as unknown as string),
);

/** The message class-validator gives when the rule fails: the decorator's own or the default, tokens replaced. */
export function messageOfRule(rule: Rule, object: object, value: unknown): string | undefined {
  const args = argumentsOf(rule.metadata, object, value);
  return replaceTokens(rule.metadata.message || rule.constraint.defaultMessage?.(args) || '', args);
}

/** As class-validator does, `object` is here the class and not the instance, so `$target` reads "Function". */
export function messageOfNested(metadata: ValidationMetadata, value: unknown): string | undefined {
  return replaceTokens(metadata.message || '', argumentsOf(metadata, metadata.target as object, value));
}

function argumentsOf(metadata: ValidationMetadata, object: object, value: unknown): ValidationArguments {
  return {
    targetName: object.constructor?.name,
    property: metadata.propertyName,
    object,
    value,
    constraints: metadata.constraints as unknown[],
  };
}

/** class-validator's `ValidationUtils.replaceMessageSpecialTokens`, which its package does not export. */
function replaceTokens(message: ValidationMetadata['message'], args: ValidationArguments): string | undefined {
  let text = typeof message === 'function' ? message(args) : message;
  if (typeof text !== 'string' || text === '') return undefined;
  if (Array.isArray(args.constraints)) {
    args.constraints.forEach((constraint, index) => {
      text = text.replace(new RegExp(`\\$constraint${index + 1}`, 'g'), constraintText(constraint));
    });
  }
  if (['string', 'boolean', 'number'].includes(typeof args.value)) text = text.replace(/\$value/g, args.value as string);
  return text.replace(/\$property/g, args.property).replace(/\$target/g, args.targetName);
}

function constraintText(constraint: unknown): string {
  if (Array.isArray(constraint)) return constraint.join(', ');
  return String(typeof constraint === 'symbol' ? constraint.description : constraint);
}
