import { HttpException } from '@nestjs/common';
import type { FieldError } from '@loopstack/shared';

interface Entry {
  readonly status: number;
  readonly message: string;
  readonly fix?: string;
}

/** What the HTTP side itself refuses. The errors of runs have their catalogue in `@loopstack/shared`. */
export const PROBLEMS = {
  REQUEST_INVALID: { status: 400, message: 'The request was refused', fix: 'Correct the fields named in `errors`.' },
  SIGNATURE_INVALID: { status: 400, message: 'The signature was refused', fix: 'Sign the raw body with the secret of this endpoint.' },
  UNAUTHENTICATED: {
    status: 401,
    message: 'No valid token',
    fix: 'Send `Authorization: Bearer <JWT>`, signed with HS256, with the user id in `sub`, and with `iss`, `aud`, `iat` and `exp` as this worker is set up.',
  },
  SCOPE_MISSING: {
    status: 403,
    message: 'The token does not allow this',
    fix: 'Ask the issuer of your token for the scope `orders:process`.',
  },
  DOCUMENT_UNKNOWN: {
    status: 404,
    message: 'You have no such document',
    fix: 'Check kind and id; the run that writes it may not have ended yet.',
  },
  ROUTE_UNKNOWN: { status: 404, message: 'There is no such route', fix: 'Check method and path.' },
  BODY_TOO_LARGE: { status: 413, message: 'The body is too large', fix: 'Store the large part elsewhere and send a reference.' },
  RATE_LIMITED: { status: 429, message: 'Too many requests', fix: 'Wait for the seconds that the header `Retry-After` names.' },
  INTERNAL: { status: 500, message: 'The request could not be handled', fix: 'See the log of the worker.' },
  WEBHOOK_DISABLED: { status: 503, message: 'This webhook has no secret to check signatures with', fix: 'Set STRIPE_WEBHOOK_SECRET.' },
  NOT_READY: { status: 503, message: 'Not ready', fix: 'See `details`.' },
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof PROBLEMS;

/** The one shape in which errors leave over HTTP; `LoopstackError.toJSON()` has it, too. */
export interface ErrorAnswer {
  readonly statusCode: number;
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
  readonly errors?: readonly FieldError[];
  readonly details?: unknown;
}

export class Problem extends HttpException {
  constructor(
    readonly code: ProblemCode,
    more: { readonly message?: string; readonly errors?: readonly FieldError[] } = {},
  ) {
    const { status, message, fix } = PROBLEMS[code];
    super({ statusCode: status, code, message, fix, ...more } satisfies ErrorAnswer, status);
    this.message = more.message ?? message;
  }
}
