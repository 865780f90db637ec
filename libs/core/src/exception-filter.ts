import { STATUS_CODES } from 'node:http';
import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { LoopstackError } from '@loopstack/shared';
import { throwError } from 'rxjs';

/**
 * Answers HTTP requests with the status, code and remedy of a LoopstackError. The message and the field errors of a client's mistake
 * are in the answer, too; those of a fault of the server are in the log alone. Other contexts get the error itself.
 */
@Catch(LoopstackError)
export class LoopstackExceptionFilter implements ExceptionFilter<LoopstackError> {
  readonly #logger = new Logger('HTTP');

  constructor(private readonly adapters: HttpAdapterHost) {}

  catch(error: LoopstackError, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return throwError(() => error);
    const { statusCode, code, message, fix } = error;
    const isFault = statusCode >= 500;
    if (isFault) this.#logger.error(`${code}: ${message}`);
    const answer = isFault ? { statusCode, code, message: STATUS_CODES[statusCode] ?? 'Error', fix } : error.toJSON();
    this.adapters.httpAdapter.reply(host.switchToHttp().getResponse(), answer, statusCode);
    return undefined;
  }
}

/** Thrown by nothing. */
class Nothing {}

/** In the place of the filter in an application that answers for itself: it catches nothing. */
@Catch(Nothing)
export class NoExceptionFilter implements ExceptionFilter<Nothing> {
  catch(): void {}
}
