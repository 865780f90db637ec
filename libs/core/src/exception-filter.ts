import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { LoopstackError } from '@loopstack/shared';
import { throwError } from 'rxjs';

/** Answers HTTP requests with the status, code, message, remedy and field errors of a LoopstackError; other contexts get the error itself. */
@Catch(LoopstackError)
export class LoopstackExceptionFilter implements ExceptionFilter<LoopstackError> {
  constructor(private readonly adapters: HttpAdapterHost) {}

  catch(error: LoopstackError, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return throwError(() => error);
    const adapter = this.adapters.httpAdapter;
    adapter.reply(host.switchToHttp().getResponse(), error.toJSON(), error.statusCode);
    return undefined;
  }
}
