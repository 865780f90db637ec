import { Module, type DynamicModule, type ExecutionContext, Injectable } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { SETTINGS, type Settings } from '../settings.js';

const WINDOW_MS = 60_000;

/** Counts the requests of each client address; those of health checks are not counted (`@SkipThrottle()`). */
@Injectable()
class HttpRateLimit extends ThrottlerGuard {
  /** A run is no request: its rate is the matter of the broker and of `concurrency`. */
  protected override shouldSkip(context: ExecutionContext): Promise<boolean> {
    return Promise.resolve(context.getType() !== 'http');
  }
}

/** Answers 429 beyond RATE_LIMIT. Imported before the module that checks tokens, so that guessing them is limited, too. */
@Module({})
export class RateLimitModule {
  static forRoot(): DynamicModule {
    return {
      module: RateLimitModule,
      imports: [
        ThrottlerModule.forRootAsync({
          inject: [SETTINGS],
          useFactory: ({ rateLimit }: Settings) => ({
            throttlers: [{ ttl: WINDOW_MS, limit: rateLimit }],
            skipIf: () => rateLimit === 0,
          }),
        }),
      ],
      providers: [{ provide: APP_GUARD, useClass: HttpRateLimit }],
    };
  }
}
