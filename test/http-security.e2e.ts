import { createHmac } from 'node:crypto';
import { type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { token, HttpWorker } from './rig/http-worker.js';

const STRIPE_SECRET = 'whsec_for_tests';
const LIMIT = 20;

const rig = harness();
let nc: NatsConnection;
beforeAll(async () => {
  await rig.startServer();
  nc = await rig.connect();
});

describe('the HTTP side', () => {
  let worker: HttpWorker;
  beforeAll(async () => {
    worker = await rig.startHttpWorker({ STRIPE_WEBHOOK_SECRET: STRIPE_SECRET });
  });
  afterAll(() => worker?.stop());

  it.each([
    ['an answer', 'GET', '/health/live', 200],
    ['a refusal', 'POST', '/orders', 401],
    ['an unknown route', 'GET', '/nowhere', 404],
  ])('protects %s from browsers', async (_, method, path, status) => {
    const answer = await worker.request(method, path);
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'strict-transport-security': expect.stringContaining('max-age='),
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': expect.stringContaining('no-store'),
    });
    expect(answer.headers.get('x-powered-by')).toBeNull();
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('answers no preflight of another origin', async () => {
    const preflight = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    const { headers } = await worker.request('OPTIONS', '/run-my-workflow', { headers: preflight });
    expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  it('takes no form that a page of another origin can post', async () => {
    const { status } = await worker.request('POST', '/run-my-workflow', {
      body: '{"message":"forged"}',
      headers: { 'content-type': 'text/plain' },
    });
    expect(status).toBe(400);
  });

  it('does not store the signature of a webhook', async () => {
    const body = JSON.stringify({ id: 'evt_1', type: 'invoice.paid', userId: 'payer-1', data: {} });
    const at = Math.floor(Date.now() / 1000);
    const signature = createHmac('sha256', STRIPE_SECRET).update(`${at}.${body}`).digest('hex');
    const { status } = await worker.request('POST', '/webhooks/stripe', {
      body,
      headers: { 'stripe-signature': `t=${at},v1=${signature}` },
    });
    expect(status).toBe(200);
    await worker.document('events', 'evt_1', 'payer-1');
    const jsm = await nc.jetstreamManager();
    for (const [stream, subject] of [
      ['LOOPSTACK_RUNS', 'loopstack.run.MainWorkspace.ProcessWebhookWorkflow'],
      ['LOOPSTACK_EVENTS', 'loopstack.event.MainWorkspace.ProcessWebhookWorkflow.*'],
    ] as const) {
      const { data } = await jsm.streams.getMessage(stream, { last_by_subj: subject });
      expect(Buffer.from(data).toString()).toContain('evt_1');
      expect(Buffer.from(data).toString()).not.toContain(signature);
    }
  });
});

describe('a client that asks too often', () => {
  let worker: HttpWorker;
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const burst = (count: number, headers: Record<string, string>) =>
    Promise.all(Array.from({ length: count }, () => worker.request('GET', '/documents/receipts/none', { headers })));

  afterEach(() => worker?.stop());

  it('is answered 429, also while it guesses tokens, and the probes are not', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url, RATE_LIMIT: String(LIMIT) });
    const answers = await burst(LIMIT + 5, { authorization: 'Bearer guess' });
    const count = (wanted: number): number => answers.filter(({ status }) => status === wanted).length;
    expect([count(401), count(429)]).toEqual([LIMIT, 5]);
    // One address, whatever it claims to forward.
    const forged = await worker.request('GET', '/documents/receipts/none', { headers: from('203.0.113.7') });
    expect(forged).toMatchObject({ status: 429, body: { statusCode: 429, code: 'RATE_LIMITED' } });
    expect(Number(forged.headers.get('retry-after'))).toBeGreaterThan(0);
    const genuine = await worker.request('GET', '/documents/receipts/none', {
      headers: { authorization: `Bearer ${token({ sub: 'u1' })}` },
    });
    expect(genuine.status).toBe(429);
    const probes = await Promise.all(Array.from({ length: LIMIT * 2 }, () => worker.request('GET', '/health/live')));
    expect(new Set(probes.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('is told from others behind a proxy that is trusted', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url, RATE_LIMIT: String(LIMIT), TRUSTED_PROXIES: '1' });
    const limited = await burst(LIMIT + 1, from('203.0.113.7'));
    expect(limited.filter(({ status }) => status === 429)).toHaveLength(1);
    expect((await burst(1, from('203.0.113.8')))[0]?.status).toBe(401);
    // The last hop is the trusted one's word; what stands before it is the client's.
    expect((await burst(1, from('198.51.100.1, 203.0.113.7')))[0]?.status).toBe(429);
  });

  it('is not limited where the limit is 0', async () => {
    worker = await HttpWorker.start({ NATS_URL: rig.url, RATE_LIMIT: '0' });
    expect((await burst(LIMIT * 3, {})).every(({ status }) => status === 401)).toBe(true);
  });
});
