import { Injectable, Module, type DynamicModule, type ExecutionContext } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { UNLIMITED } from './unlimited.js';

const WINDOW_MS = 60_000;

/** Counts the requests of each client address. */
@Injectable()
class HttpRateLimit extends ThrottlerGuard {
  protected override shouldSkip(context: ExecutionContext): Promise<boolean> {
    // A run is no request: its rate is the matter of the broker and of `concurrency`.
    if (context.getType() !== 'http') return Promise.resolve(true);
    const isUnlimited = this.reflector.getAllAndOverride<boolean | undefined>(UNLIMITED, [context.getHandler(), context.getClass()]);
    return Promise.resolve(isUnlimited === true);
  }
}

/** Answers 429 beyond the limit. Imported before the module that checks tokens, so that guessing them is limited, too. */
@Module({})
export class RateLimitModule {
  /** @param limit requests a minute */
  static forRoot(limit: number): DynamicModule {
    return {
      module: RateLimitModule,
      imports: [ThrottlerModule.forRoot([{ ttl: WINDOW_MS, limit }])],
      providers: [{ provide: APP_GUARD, useClass: HttpRateLimit }],
    };
  }
}
