import { Inject, Logger, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import { SETTINGS, type Settings } from '../settings.js';
import { JwtGuard } from './jwt.guard.js';
import { JwtStrategy } from './jwt.strategy.js';

@Module({
  imports: [PassportModule],
  providers: [JwtStrategy, { provide: APP_GUARD, useClass: JwtGuard }],
})
export class AuthModule implements OnApplicationBootstrap {
  constructor(@Inject(SETTINGS) private readonly settings: Settings) {}

  onApplicationBootstrap(): void {
    if (this.settings.jwt.secretGenerated) {
      new Logger('Auth').warn('JWT_SECRET is not set: this process generated one, and no other process can sign tokens for it.');
    }
  }
}
