import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { SETTINGS, type Settings } from '../settings.js';
import { userOf, type AuthenticatedUser, type Claims } from './claims.js';

/** Bearer tokens signed with HS256; `sub` is the user's id. The strategy named `jwt` of `AuthGuard('jwt')`. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  readonly #maxAgeS: number;

  constructor(@Inject(SETTINGS) { jwt: { secret, issuer, audience, maxAgeMs } }: Settings) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: secret,
      // Named, so that a token cannot choose: `none`, or another algorithm with the same bytes as its key.
      algorithms: ['HS256'],
      issuer,
      audience,
    });
    this.#maxAgeS = maxAgeMs / 1000;
  }

  /** False makes the answer a 401. */
  validate(claims: Claims): AuthenticatedUser | false {
    const nowS = Date.now() / 1000; // wall clock: the one by which passport-jwt judges `exp`
    return userOf(claims, nowS, this.#maxAgeS) ?? false;
  }
}
