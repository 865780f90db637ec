import fc from 'fast-check';
import { createHash, verify } from 'node:crypto';
// oxlint-disable-next-line no-restricted-imports -- our reading of NKeys is held against the library's
import { nkeys } from 'nats';
import { HEADER, type Headers } from '../message/header.js';
import { keyPairOf, publicKeyOf } from './nkey.js';
import { commandSigner, untrustedReason, resolveTrust, type UnsignedCommand } from './signature.js';
import { UNSIGNED_HEADERS, headerLinesOf, signedBytes } from './signed-bytes.js';

const pair = nkeys.createUser();
const seed = new TextDecoder().decode(pair.getSeed());
const command: UnsignedCommand = {
  subject: 'loopstack.run.A.B',
  headers: { [HEADER.MSG_ID]: 'A.B:r1', [HEADER.RUN_ID]: 'r1', 'X-Note': 'Zürich 日本' },
  data: new TextEncoder().encode('{"userId":"u1"}'),
};
const trust = resolveTrust('trust', { signers: [pair.getPublicKey()] });

/** The command as the server stores it. */
const blockOf = (headers: Headers): string =>
  `NATS/1.0\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
const signed = (sign = commandSigner(seed), given = command): Headers => ({ ...given.headers, ...sign(given) });

interface Changed {
  readonly subject?: string;
  readonly data?: Uint8Array;
  readonly block?: string | Uint8Array;
  readonly timeMs?: number;
}

const reason = (headers: Headers, { subject = command.subject, data = command.data, block, timeMs = Date.now() }: Changed = {}) =>
  untrustedReason({ subject, data, timeMs, lines: headerLinesOf(Buffer.from(block ?? blockOf(headers))) }, trust);

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
  const headers = signed();
  const genuine = blockOf(headers);
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);

  it('is trusted', () => {
    expect(reason(headers)).toBeUndefined();
  });

  it('is made by Ed25519, as any library verifies it, over bytes that any language can make', () => {
    const key = publicKeyOf(pair.getPublicKey());
    const lines = Object.entries(headers).filter(([name]) => name !== HEADER.SIGNATURE);
    const body = createHash('sha256').update(command.data).digest('hex');
    const sorted = lines.map(([name, value]) => Buffer.from(`${name}:${value}`)).sort((a, b) => Buffer.compare(a, b));
    const bytes = Buffer.from(`loopstack-command-2\nloopstack.run.A.B\n${body}\n${sorted.join('\n')}`);
    const signature = Buffer.from((headers[HEADER.SIGNATURE] as string).slice(2), 'base64url');
    expect(signature).toHaveLength(64);
    expect(verify(null, bytes, key, signature)).toBe(true);
  });

  it('may have what the server, a batch and tracing add, lines in another order, and no space behind a colon', () => {
    const added = Object.fromEntries([...UNSIGNED_HEADERS].filter((name) => name !== HEADER.SIGNATURE).map((name) => [name, 'x']));
    expect(reason({ ...added, ...headers })).toBeUndefined();
    expect(reason(Object.fromEntries(Object.entries(headers).reverse()))).toBeUndefined();
    expect(reason(headers, { block: genuine.replaceAll(': ', ':') })).toBeUndefined();
  });

  it.each<readonly [string, Changed]>([
    ['another subject', { subject: 'loopstack.run.A.C' }],
    ['another lane', { subject: 'loopstack.lane.high.A.B' }],
    ['another body', { data: text('{"userId":"u1","payload":1}') }],
    ['a blank behind its body', { data: text('{"userId":"u1"} ') }],
    ['its first line gone', { block: genuine.replace('NATS/1.0\r\n', '') }],
    ['a status', { block: genuine.replace('NATS/1.0', 'NATS/1.0 503') }],
    ['no end', { block: genuine.slice(0, -2) }],
    ['an empty line before a header', { block: genuine.replace('\r\nX-Note', '\r\n\r\nX-Note') }],
    ['a line without a colon', { block: genuine.replace('\r\n\r\n', '\r\nnothing\r\n\r\n') }],
    ['a lone carriage return', { block: genuine.replace('X-Note: ', 'X-Note: \r') }],
    ['a lone line feed', { block: genuine.replace('X-Note: ', 'X-Note: \n') }],
    ['a byte that is no UTF-8', { block: Buffer.from(genuine.replace('Zürich', 'Z\u00fcrich'), 'latin1') }],
  ])('with %s is not', (_, changed) => {
    expect(reason(headers, changed)).toMatch(/^its (signature does not fit|headers cannot be read)$/);
  });

  it('is not with any header added, removed, renamed, written twice or changed by a byte', () => {
    const names = Object.keys(headers).filter((name) => name !== HEADER.SIGNATURE);
    const blanks = [' ', '\t', '\u00a0', '\u2003', '\ufeff', '\u0000', '\u007f', 'x'];
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.constantFrom('remove', 'rename', 'twice', 'before', 'after', 'add'),
        fc.constantFrom(...blanks),
        fc.stringMatching(/^[!-9;-~]{1,20}$/),
        (name, how, blank, other) => {
          fc.pre(!names.includes(other) && !UNSIGNED_HEADERS.has(other));
          const line = `${name}: ${headers[name]}\r\n`;
          const made = {
            remove: '',
            rename: `${other}: ${headers[name]}\r\n`,
            twice: line + line,
            before: `${name}: ${blank}${headers[name]}\r\n`,
            after: `${name}: ${headers[name]}${blank}\r\n`,
            add: `${line}${other}: ${blank}\r\n`,
          }[how];
          expect(reason(headers, { block: genuine.replace(line, () => made) })).toBeDefined();
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is told from every other one by the bytes that are signed', () => {
    const name = fc.stringMatching(/^[!-9;-~]{1,4}$/);
    const value = fc.stringMatching(/^[ -~]{0,4}$/);
    const made = fc.record({
      subject: fc.stringMatching(/^[a-c.]{1,3}$/),
      headers: fc.dictionary(name, value, { maxKeys: 3 }),
      data: fc.uint8Array({ maxLength: 2 }),
    });
    const bytesOf = ({ subject, headers: all, data }: { subject: string; headers: Headers; data: Uint8Array }): string =>
      signedBytes(subject, data, Object.entries(all)).toString('latin1');
    const plain = ({ subject, headers: all, data }: { subject: string; headers: Headers; data: Uint8Array }): string =>
      JSON.stringify([
        subject,
        Object.entries(all)
          .filter(([key]) => !UNSIGNED_HEADERS.has(key))
          .sort(([x], [y]) => (x < y ? -1 : 1)),
        [...data],
      ]);
    fc.assert(
      fc.property(made, made, (a, b) => expect(bytesOf(a) === bytesOf(b)).toBe(plain(a) === plain(b))),
      { numRuns: 2000 },
    );
  });

  it('that is stored too late is refused, and so is one that is valid for too long', () => {
    expect(reason(headers, { timeMs: Date.now() + 61_000 })).toBe('its signature had expired when it was stored');
    expect(reason(signed(commandSigner(seed, { validity: '1h' })))).toBe('its signature is valid for too long');
  });

  it('that is due later has no message id, and is trusted when it is due and not before', () => {
    const dueMs = Date.now() + 70_000;
    const { [HEADER.MSG_ID]: _, ...without } = command.headers;
    const delayed = { ...without, ...commandSigner(seed)({ ...command, headers: without, dueMs }) };
    expect(reason(delayed, { timeMs: dueMs })).toBeUndefined();
    expect(reason(delayed, { timeMs: dueMs + 61_000 })).toBe('its signature had expired when it was stored');
    expect(reason(delayed)).toBe('it was stored before its time');
    expect(reason({ ...delayed, [HEADER.MSG_ID]: 'A.B:r1' }, { timeMs: dueMs })).toBe('its signature does not fit');
    expect(reason({ ...delayed, [HEADER.SIGNED_FROM]: 'soon' }, { timeMs: dueMs })).toBe('its signature has no valid beginning');
  });

  it('without a message id is refused, whoever has signed it so', () => {
    const { [HEADER.MSG_ID]: _, ...without } = command.headers;
    for (const made of [without, { ...without, [HEADER.MSG_ID]: '' }, { ...without, 'nats-msg-id': 'A.B:r1' }]) {
      expect(reason(signed(commandSigner(seed), { ...command, headers: made }))).toBe('it has no Nats-Msg-Id');
    }
  });

  it('of version 1 is refused, and the reason tells what to do', () => {
    const version1 = { ...headers, [HEADER.SIGNATURE]: (headers[HEADER.SIGNATURE] as string).slice(2) };
    expect(reason(version1)).toMatch(/^its signature has version 1, .*: upgrade what signs it$/);
  });

  it.each<readonly [string, Headers, string]>([
    ['no signature', {}, 'it is not signed'],
    [
      'a stranger as its signer',
      signed(commandSigner(new TextDecoder().decode(nkeys.createUser().getSeed()))),
      'its signer is not trusted here',
    ],
    ['no time as its expiry', { ...headers, [HEADER.SIGNED_UNTIL]: 'soon' }, 'its signature has no valid expiry'],
    ['an expiry without a zone', { ...headers, [HEADER.SIGNED_UNTIL]: '2100-01-01T00:00:00' }, 'its signature has no valid expiry'],
    [
      'a stretched expiry',
      { ...headers, [HEADER.SIGNED_UNTIL]: new Date(Date.now() + 100_000).toISOString() },
      'its signature does not fit',
    ],
    ['a forged signature', { ...headers, [HEADER.SIGNATURE]: '2.AAAA' }, 'its signature does not fit'],
    ['a signature of zeros', { ...headers, [HEADER.SIGNATURE]: `2.${'A'.repeat(86)}` }, 'its signature does not fit'],
  ])('with %s is not trusted', (_, given, expected) => {
    expect(reason(given)).toBe(expected);
  });
});
