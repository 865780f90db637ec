import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { LoopstackError } from '../error.js';
import { refusedOption } from '../value/option.js';

/*
 * NKeys (nats-io/nkeys): base32 without padding of prefix byte(s), 32 bytes of an Ed25519 key, and a CRC-16/XMODEM of both,
 * little endian. Node's own Ed25519 signs and verifies in tens of microseconds; the client library's JavaScript takes milliseconds.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const SEED_PREFIX = 18 << 3;
const USER_PREFIX = 20 << 3;
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return crc & 0xffff;
}

function decode(text: string): Buffer | undefined {
  const bytes: number[] = [];
  let value = 0;
  let bits = 0;
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  const raw = Buffer.from(bytes);
  const body = raw.subarray(0, -2);
  return raw.length > 2 && raw.readUInt16LE(raw.length - 2) === crc16(body) ? body : undefined;
}

function encode(body: Buffer): string {
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(body));
  let text = '';
  let value = 0;
  let bits = 0;
  for (const byte of Buffer.concat([body, sum])) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >> bits) & 31];
    }
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

const invalid = (option: string, expected: string): LoopstackError => refusedOption(option, expected, 'something else');

/** The key in a user's public NKey (`U…`). @throws LoopstackError OPTION_INVALID; the text is not repeated */
export function publicKeyOf(nkey: string, option = 'signer'): KeyObject {
  const body = decode(nkey);
  if (!body || body.length !== 33 || body[0] !== USER_PREFIX) throw invalid(option, 'a public user NKey (U…)');
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, body.subarray(1)]), format: 'der', type: 'spki' });
}

/** The private key in a user's seed (`SU…`), and its public NKey. @throws LoopstackError OPTION_INVALID; the seed is not repeated */
export function keyPairOf(seed: string, option = 'seed'): { readonly privateKey: KeyObject; readonly nkey: string } {
  const body = decode(seed.trim());
  // Five bits of the seed's prefix, then eight of the key's.
  const kind = body && ((body[0] as number) & 0xf8) === SEED_PREFIX ? (((body[0] as number) & 7) << 5) | ((body[1] as number) >> 3) : -1;
  if (!body || body.length !== 34 || kind !== USER_PREFIX) throw invalid(option, 'the seed of a user NKey (SU…)');
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, body.subarray(2)]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { privateKey, nkey: encode(Buffer.concat([Buffer.from([USER_PREFIX]), spki.subarray(SPKI_HEAD.length)])) };
}

/** A new key of a user: its public NKey, and its seed, which is the secret. */
export function createUserKey(): { readonly nkey: string; readonly seed: string } {
  const pkcs8 = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
  const kind = Buffer.from([SEED_PREFIX | (USER_PREFIX >> 5), (USER_PREFIX & 31) << 3]);
  const seed = encode(Buffer.concat([kind, pkcs8.subarray(PKCS8_HEAD.length)]));
  return { nkey: keyPairOf(seed).nkey, seed };
}
