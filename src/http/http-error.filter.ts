import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { LoopstackError } from '@loopstack/shared';
import { throwError } from 'rxjs';
import { Problem, type ErrorAnswer, type ProblemCode } from './problem.js';

const BY_STATUS: Readonly<Record<number, ProblemCode>> = {
  401: 'UNAUTHENTICATED',
  404: 'ROUTE_UNKNOWN',
  413: 'BODY_TOO_LARGE',
  429: 'RATE_LIMITED',
};

/** What an error says to the outside. What was not made to be read there is INTERNAL, without its message. Pure. */
export function answerOf(thrown: unknown): ErrorAnswer {
  if (thrown instanceof LoopstackError) return answerOfLoopstack(thrown);
  if (thrown instanceof HttpException) {
    const body = thrown.getResponse();
    if (thrown instanceof Problem) return body as ErrorAnswer;
    // What terminus throws: the result of all checks.
    if (typeof body === 'object' && 'details' in body && 'status' in body)
      return { ...answerOf(new Problem('NOT_READY')), details: body.details };
    return answerOfStatus(thrown.getStatus());
  }
  // Express and its body parsers: errors of the request, told by their status alone.
  const status = thrown instanceof Error ? (thrown as { statusCode?: unknown }).statusCode : undefined;
  if (typeof status === 'number' && status >= 400 && status < 500) return answerOfStatus(status);
  return answerOf(new Problem('INTERNAL'));
}

/** The text of a fault of this server may name its surroundings: the log has it. */
function answerOfLoopstack(error: LoopstackError): ErrorAnswer {
  const { statusCode, code, fix } = error;
  if (statusCode < 500) return error.toJSON();
  return { statusCode, code, message: STATUS_CODES[statusCode] ?? 'Error', fix };
}

function answerOfStatus(statusCode: number): ErrorAnswer {
  const code = BY_STATUS[statusCode];
  if (code) return answerOf(new Problem(code));
  const message = STATUS_CODES[statusCode] ?? 'Error';
  return { statusCode, code: message.toUpperCase().replaceAll(/[^A-Z]+/g, '_'), message };
}

/** Answers every error of a request in one shape; no stack, cause or secret leaves the process. */
@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  readonly #logger = new Logger('HTTP');

  constructor(private readonly adapters: HttpAdapterHost) {}

  catch(thrown: unknown, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return throwError(() => thrown);
    const answer = answerOf(thrown);
    this.#log(answer, thrown);
    const { httpAdapter } = this.adapters;
    const response = host.switchToHttp().getResponse<object>();
    if (httpAdapter.isHeadersSent(response)) {
      httpAdapter.end(response);
      return undefined;
    }
    // RFC 9110, 15.5.2: a 401 names the scheme that is asked for.
    if (answer.statusCode === 401) httpAdapter.setHeader(response, 'WWW-Authenticate', 'Bearer');
    httpAdapter.reply(response, answer, answer.statusCode);
    return undefined;
  }
  #log({ code, statusCode, message }: ErrorAnswer, thrown: unknown): void {
    if (code === 'INTERNAL')
      this.#logger.error(thrown instanceof Error ? (thrown.stack ?? thrown.message) : `A request threw ${typeof thrown}`);
    // Terminus logs what is not ready.
    else if (statusCode >= 500 && code !== 'NOT_READY')
      this.#logger.warn(`${code}: ${thrown instanceof LoopstackError ? thrown.message : message}`);
  }
}
