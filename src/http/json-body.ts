import type { RawBodyRequest } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { parseStrictJson } from '@loopstack/shared';
import type { NextFunction, Request, Response } from 'express';

/** Largest body of a request; the server's max_payload bounds a run command at 1 MiB by default. */
const LIMIT = '1mb';

/**
 * Reads JSON bodies, and no others, as strictly as the body of a run command: the pipe that validates them would
 * overflow the stack on one that is nested too deep, and parsers disagree on duplicate keys. Also keeps the raw body,
 * which signatures cover. The application is made with `bodyParser: false`.
 */
export function useStrictJsonBodies(app: NestExpressApplication): void {
  app.useBodyParser('raw', { type: ['application/json', 'application/*+json'], limit: LIMIT });
  app.use((request: RawBodyRequest<Request>, _response: Response, next: NextFunction) => {
    const bytes: unknown = request.body;
    if (!Buffer.isBuffer(bytes)) {
      next();
      return;
    }
    try {
      request.body = bytes.length === 0 ? undefined : parseStrictJson(bytes);
      next();
    } catch (error) {
      next(error);
    }
  });
}
