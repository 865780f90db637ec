import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import type { Settings } from '../settings.js';

/** The answers are JSON for programs: a browser may not sniff, frame, script or keep them. */
export function harden(app: NestExpressApplication, { trustedProxies }: Settings): void {
  app.disable('x-powered-by');
  app.set('trust proxy', trustedProxies);
  app.use(
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] } },
      frameguard: { action: 'deny' },
    }),
  );
  app.use((_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });
}
