import { jsonType, type FieldError, type JsonSchema } from '@loopstack/shared/contract';
// oxlint-disable-next-line no-restricted-imports -- ajv's own door to draft 2020-12
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { createRequire } from 'node:module';
import { packageUrl } from './package-file.js';

/** Loaded for the first payload that is checked: most workers check none, and it is a tenth of their start. */
function newAjv(): Ajv2020 {
  const require = createRequire(packageUrl());
  const draft = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const formats = require('ajv-formats') as typeof import('ajv-formats');
  const ajv = new draft.Ajv2020({ allErrors: true, strict: false, verbose: true });
  formats.default(ajv);
  return ajv;
}

/**
 * Checks payloads against the schemas of a catalogue, for producers that have no class of the workflow. What JSON Schema
 * cannot say (custom validators) is left to the worker.
 */
export function schemaCheck(): (schema: JsonSchema, payload: unknown) => readonly FieldError[] {
  let ajv: Ajv2020 | undefined;
  const compiled = new WeakMap<JsonSchema, ValidateFunction>();
  return (schema, payload) => {
    let validate = compiled.get(schema);
    if (!validate) compiled.set(schema, (validate = (ajv ??= newAjv()).compile(schema)));
    return validate(payload)
      ? []
      : told(validate.errors ?? [])
          .slice(0, 100)
          .map(fieldError);
  };
}

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
