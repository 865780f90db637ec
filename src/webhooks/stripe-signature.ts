import { createHmac, timingSafeEqual } from 'node:crypto';

/** Seconds that a signature's timestamp may be away from now: Stripe's own default. */
const TOLERANCE_S = 300;

export type SignatureVerdict = 'valid' | 'absent' | 'malformed' | 'wrong' | 'outside the tolerance of its timestamp';

interface Signature {
  readonly timestamp: string;
  readonly candidates: readonly string[];
}

function parse(header: string): Signature | undefined {
  const timestamps: string[] = [];
  const candidates: string[] = [];
  for (const part of header.split(',')) {
    const [scheme, value = ''] = part.trim().split('=', 2) as [string, string?];
    if (scheme === 't') timestamps.push(value);
    // Other schemes (v0 is for tests) are not looked at: that would allow a downgrade.
    else if (scheme === 'v1') candidates.push(value);
  }
  const [timestamp] = timestamps;
  const usable = timestamp !== undefined && timestamps.length === 1 && /^\d{1,12}$/.test(timestamp);
  return usable && candidates.length > 0 ? { timestamp, candidates } : undefined;
}

/**
 * Checks a `stripe-signature` header: `t=<seconds>,v1=<hex>`, several `v1` while a secret is being rolled; HMAC-SHA256
 * over `<t>.<raw body>` (docs.stripe.com/webhooks, "Verify webhook signatures manually"). Compares in constant time.
 *
 * @param nowS seconds since the epoch
 */
export function verifyStripeSignature(header: string | undefined, rawBody: Uint8Array, secret: string, nowS: number): SignatureVerdict {
  if (header === undefined || header === '') return 'absent';
  const signature = parse(header);
  if (!signature) return 'malformed';
  const { timestamp, candidates } = signature;
  const expected = createHmac('sha256', secret).update(`${timestamp}.`).update(rawBody).digest();
  let matches = false;
  for (const candidate of candidates) {
    const bytes = /^[0-9a-f]{64}$/i.test(candidate) ? Buffer.from(candidate, 'hex') : undefined;
    if (bytes && timingSafeEqual(bytes, expected)) matches = true;
  }
  if (!matches) return 'wrong';
  return Math.abs(nowS - Number(timestamp)) <= TOLERANCE_S ? 'valid' : 'outside the tolerance of its timestamp';
}
