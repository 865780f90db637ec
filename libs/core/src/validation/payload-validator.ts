import { compile } from './compile.js';
import type { FastCheck } from './compile.js';
import { explain } from './explain.js';
import { fieldError } from './field-error.js';
import type { FieldError } from './field-error.js';
import { checkWithLibraries, ConversionFailed, instanceFrom, MAX_LIBRARY_VALUES } from './library.js';
import type { Outcome } from './library.js';
import { planOf } from './plan.js';
import type { Class, Plan } from './plan.js';
import { isRecord, refusalsOf } from './refusals.js';

export type { FieldError } from './field-error.js';

export type Validated<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: readonly FieldError[] };

export interface PayloadValidator<T = unknown> {
  /**
   * The payload as an instance of its class, or what is wrong with it (at most MAX_FIELD_ERRORS entries, never none).
   * A promise only where a validator of the class is asynchronous; it rejects when that validator rejects.
   *
   * The payload is decoded JSON that is not too deep and has no cycles. It is not changed, unless a `@Type` with a
   * discriminator drops the discriminating property.
   */
  validate(input: unknown): Validated<T> | Promise<Validated<T>>;
}

const validators = new WeakMap<Class, ClassValidator<object>>();

/**
 * The validator of a payload class, decorated for class-validator and class-transformer. One per class. The decorators
 * are read at the first payload, when every module has been loaded; later ones are not seen.
 *
 * Accepts what `plainToInstance` and `validate` with `whitelist`, `forbidNonWhitelisted` and `forbidUnknownValues`
 * accept, and gives the same instance or the same errors, with these differences: keys that every object inherits
 * (`constructor`, `__proto__`, `toString`, a method of the class) are refused and not dropped, too large payloads are
 * refused (MAX_ITEMS, MAX_LIBRARY_VALUES), and what makes the libraries throw is an invalid payload.
 */
export function payloadValidator<T extends object>(cls: new () => T): PayloadValidator<T> {
  let validator = validators.get(cls);
  if (!validator) validators.set(cls, (validator = new ClassValidator<object>(cls)));
  return validator as ClassValidator<T>;
}

class ClassValidator<T extends object> implements PayloadValidator<T> {
  private plan: Plan | undefined;
  private fastCheck: FastCheck | undefined;

  constructor(private readonly cls: Class<T>) {}

  validate(input: unknown): Validated<T> | Promise<Validated<T>> {
    this.plan ??= this.prepare();
    const instance = this.fastCheck?.(input);
    if (instance !== undefined) return { ok: true, value: instance as T };
    return this.lookClosely(input, this.plan);
  }

  private prepare(): Plan {
    const plan = planOf(this.cls);
    if (plan.obstacles.length === 0) this.fastCheck = compile(plan.root);
    return plan;
  }

  private lookClosely(input: unknown, plan: Plan): Validated<T> | Promise<Validated<T>> {
    if (!isRecord(input)) return invalid([fieldError('', 'isObject', 'the payload must be an object', input)]);
    let outcome: Outcome | Promise<Outcome>;
    try {
      const { errors, values } = refusalsOf(input, plan.root);
      if (errors.length > 0) return invalid(errors);
      const explained = this.fastCheck && this.explain(input, plan);
      if (explained) return invalid(explained);
      if (values > MAX_LIBRARY_VALUES) return invalid([tooManyValues(input)]);
      outcome = checkWithLibraries(this.cls, input);
    } catch (cause) {
      // Only what is not JSON gets here: a cycle, or a getter that throws.
      const name = cause instanceof Error ? cause.name : typeof cause;
      return invalid([fieldError('', 'check', `the payload could not be read: ${name}`, input)]);
    }
    return outcome instanceof Promise ? outcome.then((known) => this.result(known)) : this.result(outcome);
  }

  /** The errors of a payload that the compiled check did not accept; undefined when only the libraries can tell. */
  private explain(input: object, plan: Plan): readonly FieldError[] | undefined {
    const instance = instanceFrom(this.cls, input);
    const errors = instance instanceof ConversionFailed ? undefined : explain(instance, plan.root);
    return errors?.length ? errors : undefined;
  }

  private result({ instance, errors }: Outcome): Validated<T> {
    return errors.length > 0 ? invalid(errors) : { ok: true, value: instance as T };
  }
}

function invalid(errors: readonly FieldError[]): { readonly ok: false; readonly errors: readonly FieldError[] } {
  return { ok: false, errors };
}

function tooManyValues(input: object): FieldError {
  return fieldError('', 'payloadTooManyItems', `the payload has more than ${MAX_LIBRARY_VALUES} values`, input);
}
