import { plainToInstance } from 'class-transformer';
import { Validator } from 'class-validator';
import type { ValidationError, ValidatorOptions } from 'class-validator';
import type { FieldError } from '@loopstack/shared';
import { fieldError, pathOfIndex, pathOfKey } from './field-error.js';
import { Executor } from './libraries.js';
import { MAX_FIELD_ERRORS } from './limits.js';
import { rememberedMetadata } from './metadata.js';
import type { Class, UnknownFields } from './plan.js';

const OPTIONS: Readonly<Record<UnknownFields, ValidatorOptions>> = {
  refuse: { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true },
  strip: { whitelist: true, forbidNonWhitelisted: false, forbidUnknownValues: true },
  keep: { whitelist: false, forbidUnknownValues: true },
};

export type Outcome = { readonly instance: object; readonly errors: readonly FieldError[] };

/**
 * class-transformer and class-validator as they are. A promise only when a validator gave one; it rejects when that
 * validator does, since a failed look-up says nothing about the payload. A `@Transform` or a check that throws on the
 * spot does: such a payload is invalid (rules `transform` and `check`).
 */
export function checkWithLibraries(cls: Class, payload: object, unknownFields: UnknownFields): Outcome | Promise<Outcome> {
  const options = OPTIONS[unknownFields];
  let instance: object;
  try {
    instance = plainToInstance(cls, payload);
  } catch (cause) {
    return refused(payload, 'transform', `the payload could not be converted to ${cls.name}: ${nameOf(cause)}`);
  }
  if (!Executor) return new Validator().validate(instance, options).then((tree) => ({ instance, errors: fieldErrors(tree) }));
  const executor = new Executor(new Validator(), options);
  Object.assign(executor, { metadataStorage: rememberedMetadata });
  const tree: ValidationError[] = [];
  const outcome = () => ({ instance, errors: fieldErrors(executor.stripEmptyErrors(tree)) });
  try {
    executor.execute(instance, undefined as unknown as string, tree);
  } catch (cause) {
    // No caller waits for the checks that have begun; their rejection must not end the process.
    void Promise.allSettled(executor.awaitingPromises);
    return refused(payload, 'check', `the payload could not be checked: ${nameOf(cause)}`);
  }
  return executor.awaitingPromises.length === 0 ? outcome() : Promise.all(executor.awaitingPromises).then(outcome);
}

function refused(payload: object, rule: string, message: string): Outcome {
  return { instance: payload, errors: [fieldError('', rule, message, payload)] };
}

/** class-validator's tree as a list, in its own order: the constraints of a property, then what is inside it. */
function fieldErrors(tree: readonly ValidationError[]): readonly FieldError[] {
  const list: FieldError[] = [];
  collect(tree, '', list);
  return list;
}

function collect(tree: readonly ValidationError[], parent: string, list: FieldError[]): void {
  for (const error of tree) {
    const path = pathOf(error, parent);
    for (const [rule, message] of Object.entries(error.constraints ?? {})) {
      if (list.length >= MAX_FIELD_ERRORS) return;
      list.push(fieldError(path, rule, message, error.property === undefined ? error.target : error.value));
    }
    collect(error.children ?? [], path, list);
  }
}

function pathOf(error: ValidationError, parent: string): string {
  // An object of a class without decorators is reported as an error without a property.
  if (error.property === undefined) return parent;
  return Array.isArray(error.target) ? pathOfIndex(parent, error.property) : pathOfKey(parent, error.property);
}

export function nameOf(cause: unknown): string {
  return cause instanceof Error ? cause.name : typeof cause;
}
