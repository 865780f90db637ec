import { generateKeyPairSync } from 'node:crypto';
// oxlint-disable-next-line no-restricted-imports -- our reading of NKeys is held against the library's
import { nkeys } from 'nats';
import { headerReader, HEADER, type Headers } from './header.js';
import { keyPairOf, publicKeyOf } from './nkey.js';
import { commandSigner, distrust, resolveTrust, type UnsignedCommand } from './signature.js';

const pair = nkeys.createUser();
const seed = new TextDecoder().decode(pair.getSeed());
const command: UnsignedCommand = {
  subject: 'loopstack.run.A.B',
  messageId: 'A.B:r1',
  userId: 'u1',
  data: new TextEncoder().encode('{"userId":"u1"}'),
};
const trust = resolveTrust('trust', { signers: [pair.getPublicKey()] });
const reason = (headers: Headers, changed: Partial<UnsignedCommand> = {}, storedMs = Date.now()): string | undefined =>
  distrust({ ...command, ...changed }, headerReader(headers), storedMs, trust);

describe('NKeys', () => {
  it('are read as the NATS library reads them', () => {
    for (let i = 0; i < 50; i++) {
      const made = nkeys.createUser();
      const { nkey, privateKey } = keyPairOf(new TextDecoder().decode(made.getSeed()));
      expect(nkey).toBe(made.getPublicKey());
      expect(privateKey.asymmetricKeyType).toBe('ed25519');
      expect(() => publicKeyOf(nkey)).not.toThrow();
    }
  });

  it.each([
    ['an account', () => nkeys.createAccount().getPublicKey()],
    ['a slip of the pen', () => pair.getPublicKey().replace(/.$/, (c: string) => (c === 'A' ? 'B' : 'A'))],
    ['another alphabet', () => 'U189'],
    ['nothing', () => ''],
  ])('of %s are refused', (_, text) => {
    expect(() => publicKeyOf(text())).toThrow(/public user NKey/);
  });

  it('do not show a seed that is refused', () => {
    const secret = new TextDecoder().decode(nkeys.createAccount().getSeed());
    expect(() => keyPairOf(secret)).toThrow(/the seed of a user NKey/);
    try {
      keyPairOf(secret);
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain(secret);
    }
  });
});

describe('a signed command', () => {
  const headers = commandSigner(seed)(command);

  it('is trusted', () => {
    expect(reason(headers)).toBeUndefined();
  });

  it('is made by Ed25519, as any library verifies it', () => {
    expect(Buffer.from(headers[HEADER.SIGNATURE] as string, 'base64url')).toHaveLength(64);
    expect(generateKeyPairSync('ed25519').publicKey.asymmetricKeyType).toBe('ed25519');
  });

  it.each<readonly [string, Partial<UnsignedCommand>]>([
    ['another subject (re-targeted)', { subject: 'loopstack.run.A.C' }],
    ['another message id', { messageId: 'A.B:r2' }],
    ['another user', { userId: 'admin' }],
    ['another body', { data: new TextEncoder().encode('{"userId":"u1","payload":1}') }],
  ])('with %s is not', (_, changed) => {
    expect(reason(headers, changed)).toBe('its signature does not fit');
  });

  it('with parts that run into each other is another command', () => {
    const signed = commandSigner(seed)({ ...command, messageId: 'a\nb', userId: 'c' });
    expect(reason(signed, { messageId: 'a', userId: 'b\nc' })).toBe('its signature does not fit');
  });

  it('that is stored too late is refused, and so is one that is valid for too long', () => {
    expect(reason(headers, {}, Date.now() + 61_000)).toBe('its signature had expired when it was stored');
    expect(reason(commandSigner(seed, { validity: '1h' })(command))).toBe('its signature is valid for too long');
  });

  it('that is due later is judged by when it is stored', () => {
    const dueMs = Date.now() + 86_400_000;
    expect(reason(commandSigner(seed)({ ...command, dueMs }), {}, dueMs)).toBeUndefined();
  });

  it.each<readonly [string, Headers, string]>([
    ['no signature', {}, 'it is not signed'],
    [
      'a stranger as its signer',
      commandSigner(new TextDecoder().decode(nkeys.createUser().getSeed()))(command),
      'its signer is not trusted here',
    ],
    ['no time as its expiry', { ...headers, [HEADER.SIGNED_UNTIL]: 'soon' }, 'its signature has no valid expiry'],
    [
      'a stretched expiry',
      { ...headers, [HEADER.SIGNED_UNTIL]: new Date(Date.now() + 100_000).toISOString() },
      'its signature does not fit',
    ],
    ['a forged signature', { ...headers, [HEADER.SIGNATURE]: 'AAAA' }, 'its signature does not fit'],
  ])('with %s is not trusted', (_, given, expected) => {
    expect(reason(given)).toBe(expected);
  });
});
