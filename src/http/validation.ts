import { ValidationPipe, type ValidationError } from '@nestjs/common';
import { jsonType, summarize, type FieldError } from '@loopstack/shared';
import { Problem } from './problem.js';

/** What a hostile body can make an answer grow to is bounded: entries, and characters of a path or message. */
const MAX_ERRORS = 100;
const MAX_TEXT = 256;

const clip = (text: string): string => (text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`);

/** One entry for each rule that refused a field, in the form of the errors of payloads. */
export function fieldErrors(found: readonly ValidationError[], parent = ''): FieldError[] {
  return found.flatMap(({ property, value, constraints = {}, children = [] }) => {
    const path = /^\d+$/.test(property) ? `${parent}[${property}]` : parent === '' ? property : `${parent}.${property}`;
    const own = Object.entries(constraints).map(([rule, message]) => ({
      path: clip(path),
      rule,
      message: clip(message),
      received: jsonType(value),
    }));
    return [...own, ...fieldErrors(children, path)];
  });
}

/** Request bodies become instances of their DTOs, or a 400 that names the fields. What a DTO does not know is refused. */
export function requestValidation(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    exceptionFactory: (found) => {
      const errors = fieldErrors(found).slice(0, MAX_ERRORS);
      return new Problem('REQUEST_INVALID', { message: `The request was refused: ${summarize(errors)}`, errors });
    },
  });
}
