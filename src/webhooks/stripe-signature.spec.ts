import { createHmac } from 'node:crypto';
import { verifyStripeSignature, type SignatureVerdict } from './stripe-signature.js';

const SECRET = 'whsec_test';
const NOW = 1_700_000_000;
const BODY = Buffer.from('{"id":"evt_1"}');

const sign = (timestamp: number | string, body: Uint8Array = BODY, secret = SECRET): string =>
  createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');

const good = sign(NOW);
const wrong = sign(NOW, BODY, 'whsec_other');

describe('verifyStripeSignature', () => {
  it.each<[string, string | undefined, SignatureVerdict]>([
    ['a fresh signature', `t=${NOW},v1=${good}`, 'valid'],
    ['spaces after the commas', `t=${NOW}, v1=${good}`, 'valid'],
    ['upper-case hex', `t=${NOW},v1=${good.toUpperCase()}`, 'valid'],
    ['several v1, the last one right', `t=${NOW},v1=${wrong},v1=${good}`, 'valid'],
    ['several v1, the first one right', `t=${NOW},v1=${good},v1=${wrong}`, 'valid'],
    ['a v1 of another length beside the right one', `t=${NOW},v1=abcd,v1=${good}`, 'valid'],
    ['an unknown scheme beside the right v1', `t=${NOW},v0=${wrong},v1=${good}`, 'valid'],
    ['300 s of age', `t=${NOW - 300},v1=${sign(NOW - 300)}`, 'valid'],
    ['300 s in the future', `t=${NOW + 300},v1=${sign(NOW + 300)}`, 'valid'],
    ['301 s of age', `t=${NOW - 301},v1=${sign(NOW - 301)}`, 'outside the tolerance of its timestamp'],
    ['301 s in the future', `t=${NOW + 301},v1=${sign(NOW + 301)}`, 'outside the tolerance of its timestamp'],
    ['another secret', `t=${NOW},v1=${wrong}`, 'wrong'],
    ['a timestamp that was not signed', `t=${NOW + 1},v1=${good}`, 'wrong'],
    ['another body', `t=${NOW},v1=${sign(NOW, Buffer.from('{"id":"evt_2"}'))}`, 'wrong'],
    ['a v1 cut short', `t=${NOW},v1=${good.slice(0, 62)}`, 'wrong'],
    ['a v1 that is no hex', `t=${NOW},v1=${'z'.repeat(64)}`, 'wrong'],
    ['an empty v1', `t=${NOW},v1=`, 'wrong'],
    ['the right HMAC under v0 only', `t=${NOW},v0=${good}`, 'malformed'],
    ['no timestamp', `v1=${good}`, 'malformed'],
    ['two timestamps', `t=${NOW},t=${NOW},v1=${good}`, 'malformed'],
    ['a timestamp that is no number', `t=now,v1=${sign('now')}`, 'malformed'],
    ['a negative timestamp', `t=-1,v1=${sign(-1)}`, 'malformed'],
    ['an empty timestamp', `t=,v1=${sign('')}`, 'malformed'],
    ['a lone word', 'hello', 'malformed'],
    ['nothing but commas', ',,,', 'malformed'],
    ['an empty header', '', 'absent'],
    ['no header', undefined, 'absent'],
  ])('%s', (_, header, verdict) => {
    expect(verifyStripeSignature(header, BODY, SECRET, NOW)).toBe(verdict);
  });

  it('covers the bytes as they came, also those that are no UTF-8', () => {
    const body = Buffer.from([0xff, 0xfe, 0x00]);
    const header = `t=${NOW},v1=${sign(NOW, body)}`;
    expect(verifyStripeSignature(header, body, SECRET, NOW)).toBe('valid');
    expect(verifyStripeSignature(header, Buffer.from([0xff, 0xfd, 0x00]), SECRET, NOW)).toBe('wrong');
  });
});
