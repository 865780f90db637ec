import { userOf, type Claims } from './claims.js';

const NOW = 1_800_000_000;
const HOUR = 3600;
const claims = (more: Claims = {}): Claims => ({ sub: 'u1', iat: NOW, exp: NOW + HOUR, ...more });

describe('userOf', () => {
  it('names the user and the scopes of a token', () => {
    expect(userOf(claims({ scope: 'orders:process  reports:read' }), NOW, HOUR)).toEqual({
      id: 'u1',
      scopes: ['orders:process', 'reports:read'],
    });
    expect(userOf(claims(), NOW, HOUR)).toEqual({ id: 'u1', scopes: [] });
  });

  it.each<[string, Claims]>([
    ['no end', { exp: undefined }],
    ['no time of issue', { iat: undefined }],
    ['an end beyond the longest validity', { exp: NOW + HOUR + 1 }],
    ['an end in a hundred years', { exp: NOW + 100 * 365 * 24 * HOUR }],
    ['an infinite end', { exp: Number.POSITIVE_INFINITY }],
    ['an end that is text', { exp: String(NOW + HOUR) }],
    ['an end that is no number', { exp: Number.NaN }],
    ['a time of issue in the future', { iat: NOW + 31, exp: NOW + HOUR }],
    ['a negative time of issue', { iat: -1, exp: NOW + HOUR }],
    ['no user', { sub: undefined }],
    ['an empty user', { sub: '' }],
    ['a user that is no text', { sub: 7 }],
    ['several users', { sub: ['u1'] }],
  ])('refuses a token with %s', (_, more) => {
    expect(userOf(claims(more), NOW, HOUR)).toBeUndefined();
  });

  it('bears a clock of the issuer that is half a minute ahead', () => {
    expect(userOf(claims({ iat: NOW + 30, exp: NOW + 30 + HOUR }), NOW, HOUR)).toBeDefined();
  });

  it.each([[['a', 'b']], [7], [null], [{}]])('reads no scopes from %p', (scope) => {
    expect(userOf(claims({ scope }), NOW, HOUR)?.scopes).toEqual([]);
  });
});
