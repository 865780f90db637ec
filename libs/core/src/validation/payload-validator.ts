import { plainToInstance } from 'class-transformer';
import { compile } from './compile.js';
import type { CompiledClass } from './compile.js';
import { explain } from './explain.js';
import { fieldError } from './field-error.js';
import type { FieldError } from './field-error.js';
import { attempt } from './libraries.js';
import { checkWithLibraries, MAX_LIBRARY_VALUES, nameOf } from './library.js';
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
  private compiled: CompiledClass | undefined;

  constructor(private readonly cls: Class<T>) {}

  validate(input: unknown): Validated<T> | Promise<Validated<T>> {
    this.plan ??= this.prepare();
    const instance = this.compiled?.build(input);
    if (instance !== undefined && this.compiled?.holds(instance)) return { ok: true, value: instance as T };
    return this.lookClosely(input, this.plan, instance);
  }

  private prepare(): Plan {
    const plan = planOf(this.cls);
    if (plan.obstacles.length === 0) this.compiled = compile(plan.root);
    return plan;
  }

  private lookClosely(input: unknown, plan: Plan, built: object | undefined): Validated<T> | Promise<Validated<T>> {
    if (!isRecord(input)) return invalid([fieldError('', 'isObject', 'the payload must be an object', input)]);
    let outcome: Outcome | Promise<Outcome>;
    try {
      const errors = this.reasons(input, plan, built);
      if (errors.length > 0) return invalid(errors);
      outcome = checkWithLibraries(this.cls, input);
    } catch (cause) {
      // Only what is not JSON gets here: a cycle, or a getter that throws.
      return invalid([fieldError('', 'check', `the payload could not be read: ${nameOf(cause)}`, input)]);
    }
    return outcome instanceof Promise ? outcome.then((known) => this.result(known)) : this.result(outcome);
  }

  /** What is wrong, as far as it can be told without the libraries' verdict; empty when only they can tell. */
  private reasons(input: object, plan: Plan, built: object | undefined): readonly FieldError[] {
    const found = built && explain(built, plan.root);
    if (found?.length) return found;
    const { errors, values } = refusalsOf(input, plan.root);
    if (errors.length > 0) return errors;
    if (this.compiled && !built) {
      const instance = attempt(() => plainToInstance(this.cls, input));
      const explained = instance && explain(instance, plan.root);
      if (explained?.length) return explained;
    }
    if (values <= MAX_LIBRARY_VALUES) return [];
    return [fieldError('', 'payloadTooManyItems', `the payload has more than ${MAX_LIBRARY_VALUES} values`, input)];
  }

  private result({ instance, errors }: Outcome): Validated<T> {
    return errors.length > 0 ? invalid(errors) : { ok: true, value: instance as T };
  }
}

function invalid(errors: readonly FieldError[]): { readonly ok: false; readonly errors: readonly FieldError[] } {
  return { ok: false, errors };
}
