import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { isUserId } from '@loopstack/shared';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { SETTINGS, type Settings } from '../settings.js';

/** Whom a request's token names. */
export interface AuthenticatedUser {
  readonly id: string;
}

/** Bearer tokens signed with HS256; `sub` is the user's id. The strategy named `jwt` of `AuthGuard('jwt')`. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  constructor(@Inject(SETTINGS) { jwtSecret }: Settings) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: jwtSecret,
      // Named, so that a token cannot choose: `none`, or another algorithm with the same bytes as its key.
      algorithms: ['HS256'],
    });
  }

  /** False makes the answer a 401: a token that names nobody proves nothing. */
  validate(claims: { sub?: unknown }): AuthenticatedUser | false {
    const { sub } = claims;
    return isUserId(sub) ? { id: sub } : false;
  }
}
