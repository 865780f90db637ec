import type { FieldError } from '@loopstack/shared';
import { Builder } from './build.js';
import { compile } from './compile.js';
import type { Accept } from './compile.js';
import { explain } from './explain.js';
import { fieldError } from './field-error.js';
import { attempt } from './libraries.js';
import { checkWithLibraries, nameOf } from './library.js';
import type { Outcome } from './library.js';
import { MAX_LIBRARY_WORK } from './limits.js';
import { planOf } from './plan.js';
import type { Class, ClassPlan, Plan, UnknownFields } from './plan.js';
import { isRecord, refusalsOf } from './refusals.js';

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

const validators: Readonly<Record<UnknownFields, WeakMap<Class, ClassValidator<object>>>> = {
  refuse: new WeakMap(),
  strip: new WeakMap(),
  keep: new WeakMap(),
};

/**
 * The validator of a payload class, decorated for class-validator and class-transformer. One per class and treatment of unknown
 * fields. The decorators are read at the first payload, when every module has been loaded; later ones are not seen.
 *
 * Accepts what `plainToInstance` and `validate` with `forbidUnknownValues` accept, with `whitelist` and `forbidNonWhitelisted` where
 * unknown fields are refused and with `whitelist` where they are stripped, and gives the same instance or the same errors, with these differences: keys that every object inherits
 * (`constructor`, `__proto__`, `toString`, a method of the class) are refused and not dropped, too large payloads are
 * refused (MAX_ITEMS, MAX_LIBRARY_WORK), and what makes the libraries throw is an invalid payload.
 */
export function payloadValidator<T extends object>(cls: new () => T, unknownFields: UnknownFields = 'refuse'): PayloadValidator<T> {
  const known = validators[unknownFields];
  let validator = known.get(cls);
  if (!validator) known.set(cls, (validator = new ClassValidator<object>(cls, unknownFields)));
  return validator as ClassValidator<T>;
}

class ClassValidator<T extends object> implements PayloadValidator<T> {
  #plan: Plan | undefined;
  #accept: Accept | undefined;
  readonly #cls: Class<T>;
  readonly #unknownFields: UnknownFields;

  constructor(cls: Class<T>, unknownFields: UnknownFields) {
    this.#cls = cls;
    this.#unknownFields = unknownFields;
  }

  validate(input: unknown): Validated<T> | Promise<Validated<T>> {
    this.#plan ??= this.#prepare();
    const accepted = this.#accept?.(input);
    if (accepted !== undefined) return { ok: true, value: accepted as T };
    if (!isRecord(input)) return invalid([fieldError('', 'isObject', 'the payload must be an object', input)]);
    const { root } = this.#plan;
    const errors = this.#accept && this.#explain(input, root);
    return errors?.length ? invalid(errors) : this.#byLibraries(input, root);
  }

  #prepare(): Plan {
    const plan = planOf(this.#cls);
    if (plan.obstacles.length === 0) this.#accept = compile(plan.root, this.#unknownFields);
    return plan;
  }

  /** Undefined where only the libraries can tell. */
  #explain(input: object, plan: ClassPlan): readonly FieldError[] | undefined {
    return attempt(() => {
      const builder = new Builder(this.#unknownFields);
      return explain(builder.object(input, plan), plan, builder.strangers > 0);
    });
  }

  #byLibraries(input: object, plan: ClassPlan): Validated<T> | Promise<Validated<T>> {
    let outcome: Outcome | Promise<Outcome>;
    try {
      const { errors, work } = refusalsOf(input, plan);
      if (errors.length > 0) return invalid(errors);
      if (work > MAX_LIBRARY_WORK) return invalid([fieldError('', 'payloadTooManyItems', 'the payload has too many values', input)]);
      outcome = checkWithLibraries(this.#cls, input, this.#unknownFields);
    } catch (cause) {
      // Only what is not JSON gets here: a cycle, or a getter that throws.
      return invalid([fieldError('', 'check', `the payload could not be read: ${nameOf(cause)}`, input)]);
    }
    return outcome instanceof Promise ? outcome.then((known) => this.#result(known)) : this.#result(outcome);
  }

  #result({ instance, errors }: Outcome): Validated<T> {
    return errors.length > 0 ? invalid(errors) : { ok: true, value: instance as T };
  }
}

function invalid(errors: readonly FieldError[]): { readonly ok: false; readonly errors: readonly FieldError[] } {
  return { ok: false, errors };
}
