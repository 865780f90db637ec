import {
  checkableSchema,
  jsonType,
  uncheckedText,
  type FieldError,
  type JsonSchema,
  type RunAddress,
  type Unchecked,
} from '@loopstack/shared/contract';
// oxlint-disable-next-line no-restricted-imports -- ajv's own door to draft 2020-12
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { createRequire } from 'node:module';
import { packageUrl } from '#package-url';
import { TookTooLong, within } from './time-limit.js';
import { isCheap } from './schema-cost.js';

/** Longest that a schema is compiled, and that one payload is checked by one that may take long. The event loop waits for it. */
const COMPILE_MS = 1000;
const CHECK_MS = 250;

/** Schemas that stay compiled, and warnings that are remembered. */
const MAX_KEPT = 500;

interface Compiled {
  /** Undefined where nothing can be checked. */
  validate: ValidateFunction | undefined;
  readonly bounded: boolean;
  unchecked: readonly Unchecked[];
}

export interface SchemaCheckOptions {
  /** Is told once of a workflow whose schema cannot be checked in part. Default: a warning of the process. */
  readonly warn?: (text: string) => void;
}

/**
 * Checks payloads against the schemas of a catalogue, for producers that have no class of the workflow. What JSON Schema cannot say
 * (custom validators), and what cannot be checked (an expression that is none, a reference that leads nowhere, what takes too long), is
 * left to the worker. Never throws.
 */
export function schemaCheck(
  options: SchemaCheckOptions = {},
): (schema: JsonSchema, payload: unknown, workflow?: RunAddress) => readonly FieldError[] {
  const checker = new Checker(options.warn ?? ((text) => process.emitWarning(text, 'LoopstackWarning')));
  return (schema, payload, workflow) => checker.check(schema, payload, workflow);
}

class Checker {
  readonly #warn: (text: string) => void;
  #ajv: Ajv2020 | undefined;
  readonly #known = new WeakMap<object, Compiled>();
  /** By its text: a catalogue is read again each minute, and is what it was. */
  readonly #kept = new Map<string, Compiled>();
  readonly #told = new Set<string>();

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  check(schema: unknown, payload: unknown, workflow: RunAddress | undefined): readonly FieldError[] {
    const compiled = this.#compiled(schema);
    const errors = this.#errors(compiled, payload);
    if (compiled.unchecked.length > 0) this.#tell(compiled.unchecked, workflow);
    return told(errors).slice(0, 100).map(fieldError);
  }

  #errors(compiled: Compiled, payload: unknown): readonly ErrorObject[] {
    const { validate, bounded } = compiled;
    if (!validate) return [];
    try {
      const valid = bounded ? within(CHECK_MS, () => validate(payload)) : validate(payload);
      return valid ? [] : (validate.errors ?? []);
    } catch (error) {
      compiled.validate = undefined;
      compiled.unchecked = [
        whole(error instanceof TookTooLong ? `checking takes longer than ${CHECK_MS} ms` : `checking fails: ${nameOf(error)}`),
      ];
      return [];
    }
  }

  #compiled(schema: unknown): Compiled {
    const isObject = typeof schema === 'object' && schema !== null;
    const known = isObject ? this.#known.get(schema) : undefined;
    if (known) return known;
    const { schema: checkable, unchecked } = checkableSchema(schema);
    const text = JSON.stringify([checkable, unchecked]);
    let compiled = this.#kept.get(text);
    if (!compiled) {
      compiled = this.#compile(checkable, unchecked);
      if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value as string);
      this.#kept.set(text, compiled);
    }
    if (isObject) this.#known.set(schema, compiled);
    return compiled;
  }

  #compile({ $schema: _dialect, ...schema }: JsonSchema, unchecked: readonly Unchecked[]): Compiled {
    try {
      const ajv = (this.#ajv ??= newAjv());
      const validate = within(COMPILE_MS, () => ajv.compile(schema));
      // It would keep every schema for ever.
      ajv.removeSchema(schema);
      return { validate, bounded: !isCheap(schema), unchecked };
    } catch (error) {
      this.#ajv = undefined;
      const reason = error instanceof TookTooLong ? `compiling takes longer than ${COMPILE_MS} ms` : `compiling fails: ${nameOf(error)}`;
      return { validate: undefined, bounded: true, unchecked: [whole(reason)] };
    }
  }

  #tell(unchecked: readonly Unchecked[], workflow: RunAddress | undefined): void {
    const text = uncheckedText(unchecked, workflow);
    if (this.#told.has(text)) return;
    if (this.#told.size >= MAX_KEPT) this.#told.clear();
    this.#told.add(text);
    this.#warn(text);
  }
}

/** Loaded for the first payload that is checked: most workers check none, and it is a tenth of their start. */
function newAjv(): Ajv2020 {
  const requireFile = createRequire(packageUrl);
  const draft = requireFile('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  return new draft.Ajv2020({
    allErrors: true,
    strict: false,
    verbose: true,
    validateFormats: false,
    validateSchema: false,
    meta: false,
    logger: false,
  });
}

const whole = (reason: string): Unchecked => ({ path: '', rule: 'schema', reason });

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error);

/** Of a value that may be null, or of several kinds, what is wrong with it: not also that it is not null, and that no kind fits. */
function told(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const alternatives = new Set(errors.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath));
  const kept = errors.filter(({ keyword, instancePath, params }) => {
    if (!alternatives.has(instancePath)) return true;
    return keyword !== 'anyOf' && !(keyword === 'type' && (params as { type?: unknown }).type === 'null');
  });
  return kept.length > 0 ? kept : errors;
}

/** `/items/2/sku` as `items[2].sku`. */
function pathOf(pointer: string, last?: string): string {
  const tokens = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (last !== undefined) tokens.push(last);
  return tokens.reduce((path, token) => (/^\d+$/.test(token) ? `${path}[${token}]` : path === '' ? token : `${path}.${token}`), '');
}

function fieldError({ instancePath, keyword, message, params, data }: ErrorObject): FieldError {
  const { missingProperty, additionalProperty } = params as { missingProperty?: string; additionalProperty?: string };
  const path = pathOf(instancePath, missingProperty ?? additionalProperty);
  if (missingProperty !== undefined) return { path, rule: 'isDefined', message: `${path} is missing`, received: 'undefined' };
  if (additionalProperty !== undefined) {
    const value = (data as Record<string, unknown>)[additionalProperty];
    return { path, rule: 'whitelistValidation', message: `property ${additionalProperty} should not exist`, received: jsonType(value) };
  }
  return { path, rule: keyword, message: `${path === '' ? 'the payload' : path} ${message ?? 'is invalid'}`, received: jsonType(data) };
}
