import { createHmac } from 'node:crypto';
import { type JetStreamManager, type NatsConnection } from 'nats';
import { harness } from './rig/harness.js';
import { until } from './until.js';
import { token, HttpWorker } from './rig/http-worker.js';

const STRIPE_SECRET = 'whsec_for_tests';

const rig = harness();
let worker: HttpWorker;
let nc: NatsConnection;
let jsm: JetStreamManager;

beforeAll(async () => {
  await rig.startServer();
  worker = await rig.startHttpWorker({ STRIPE_WEBHOOK_SECRET: STRIPE_SECRET });
  nc = await rig.connect();
  jsm = await nc.jetstreamManager();
});

/** Commands that are stored for a workflow. */
async function commands(address: string): Promise<number> {
  const { state } = await jsm.streams.info('LOOPSTACK_RUNS', { subjects_filter: `loopstack.run.${address}` });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

function stripeSignature(body: string, { secret = STRIPE_SECRET, at = Math.floor(Date.now() / 1000) } = {}): string {
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

describe('POST /run-my-workflow', () => {
  it('starts a run for anybody, whose document can be read back', async () => {
    const { status, body } = await worker.request('POST', '/run-my-workflow', { body: { message: 'Hello to you' } });
    expect({ status, body }).toEqual({ status: 201, body: { message: 'Automation run is queued.', runId: expect.any(String) } });
    expect(await worker.document('summaries', body['runId'] as string, 'user-123')).toEqual({
      message: 'Hello to you',
      words: 3,
      characters: 12,
    });
  });

  it('answers 400 with the fields that are wrong, and publishes nothing', async () => {
    const before = await commands('MyWorkspace.MyWorkflow');
    const { status, body } = await worker.request('POST', '/run-my-workflow', { body: { message: 7, sender: 'x' } });
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        statusCode: 400,
        code: 'REQUEST_INVALID',
        message: expect.stringContaining('message must be a string'),
        fix: expect.any(String),
        errors: expect.arrayContaining([
          { path: 'message', rule: 'isString', message: 'message must be a string', received: 'number' },
          { path: 'sender', rule: 'whitelistValidation', message: 'property sender should not exist', received: 'string' },
        ]),
      },
    });
    expect(await commands('MyWorkspace.MyWorkflow')).toBe(before);
  });
});

describe('POST /webhooks/stripe', () => {
  const event = (id: string, more: object = {}): string =>
    JSON.stringify({ id, type: 'invoice.paid', userId: 'payer-1', data: { object: { amount: 1200 } }, ...more }, undefined, 3);
  const deliver = (body: string, signature: string | undefined) =>
    worker.request('POST', '/webhooks/stripe', { body, headers: signature === undefined ? {} : { 'stripe-signature': signature } });

  it('starts a run for a signed event, whose document can be read back', async () => {
    const body = event('evt_signed');
    expect(await deliver(body, stripeSignature(body))).toMatchObject({ status: 200, body: { received: true } });
    expect(await worker.document('events', 'evt_signed', 'payer-1')).toMatchObject({
      id: 'evt_signed',
      type: 'invoice.paid',
      source: 'stripe',
      data: { object: { amount: 1200 } },
    });
  });

  it('finds the user in the metadata of the object, too', async () => {
    const body = event('evt_meta', { userId: undefined, data: { object: { metadata: { userId: 'payer-2' } } } });
    expect(await deliver(body, stripeSignature(body))).toMatchObject({ status: 200 });
    expect(await worker.document('events', 'evt_meta', 'payer-2')).toMatchObject({ id: 'evt_meta' });
  });

  it('starts one run for an event that is delivered again', async () => {
    const before = await commands('MainWorkspace.ProcessWebhookWorkflow');
    const body = event('evt_again');
    const answers = await Promise.all([deliver(body, stripeSignature(body)), deliver(body, stripeSignature(body))]);
    answers.push(await deliver(body, stripeSignature(body)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map((answer) => answer.body['runId'])).size).toBe(1);
    expect(await commands('MainWorkspace.ProcessWebhookWorkflow')).toBe(before + 1);
  });

  it.each<[string, (body: string) => string | undefined]>([
    ['no signature', () => undefined],
    ['a signature of another secret', (body) => stripeSignature(body, { secret: 'whsec_other' })],
    ['a signature of six minutes ago', (body) => stripeSignature(body, { at: Math.floor(Date.now() / 1000) - 360 })],
    ['a signature of the same event written otherwise', (body) => stripeSignature(JSON.stringify(JSON.parse(body)))],
    ['a header that is none', () => 'hello'],
  ])('refuses %s, and publishes nothing', async (_, sign) => {
    const before = await commands('MainWorkspace.ProcessWebhookWorkflow');
    const body = event('evt_refused');
    expect(await deliver(body, sign(body))).toMatchObject({ status: 400, body: { statusCode: 400, code: 'SIGNATURE_INVALID' } });
    expect(await commands('MainWorkspace.ProcessWebhookWorkflow')).toBe(before);
  });

  it('refuses a signed event that names no user', async () => {
    const body = event('evt_nobody', { userId: undefined });
    expect(await deliver(body, stripeSignature(body))).toMatchObject({ status: 400, body: { code: 'USER_MISSING' } });
  });

  it('refuses a signed body that is no event', async () => {
    expect(await deliver('[]', stripeSignature('[]'))).toMatchObject({
      status: 400,
      body: { code: 'REQUEST_INVALID', errors: [{ path: 'id' }] },
    });
  });
});

describe('POST /applications/submit', () => {
  const words = (count: number): string => Array.from({ length: count }, () => 'word').join(' ');
  const form = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.com', resume: words(20), coverLetter: words(10) };

  it("starts a run for the token's user, whose decision can be read back", async () => {
    const { status, body } = await worker.request('POST', '/applications/submit', { body: form, user: 'ada' });
    expect({ status, body }).toEqual({
      status: 201,
      body: { message: 'Application submitted successfully', status: 'processing', applicationId: expect.any(String) },
    });
    expect(await worker.document('applications', body['applicationId'] as string, 'ada')).toMatchObject({
      applicant: form,
      status: 'in-review',
      missing: [],
    });
  });

  it('decides by what was sent', async () => {
    const { body } = await worker.request('POST', '/applications/submit', { body: { ...form, resume: 'Analyst' }, user: 'ada' });
    expect(await worker.document('applications', body['applicationId'] as string, 'ada')).toMatchObject({
      status: 'incomplete',
      missing: ['resume'],
    });
  });

  it('answers 400 with the field that is wrong', async () => {
    const { status, body } = await worker.request('POST', '/applications/submit', { body: { ...form, email: 'nowhere' }, user: 'ada' });
    expect({ status, errors: body['errors'] }).toEqual({
      status: 400,
      errors: [{ path: 'email', rule: 'isEmail', message: 'email must be an email', received: 'string' }],
    });
  });

  it("does not show one user's document to another", async () => {
    const { body } = await worker.request('POST', '/applications/submit', { body: form, user: 'ada' });
    const path = `/documents/applications/${body['applicationId'] as string}`;
    await worker.document('applications', body['applicationId'] as string, 'ada');
    expect(await worker.request('GET', path, { user: 'eve' })).toMatchObject({ status: 404, body: { code: 'DOCUMENT_UNKNOWN' } });
  });
});

describe('POST /orders/process-pending', () => {
  const place = (user: string, quantity: number) =>
    worker.request('POST', '/orders', { body: { items: [{ sku: 'tea', quantity, unitPriceCents: 450 }], priority: 'high' }, user });

  it('starts one run for each order that waits, and leaves none waiting', async () => {
    const users = ['u1', 'u2', 'name with spaces and ünïcode'];
    const orders = await Promise.all(users.map(async (user, i) => (await place(user, i + 1)).body['id'] as string));
    const placed = await Promise.all(orders.map((id, i) => worker.document('orders', id, users[i]!)));
    expect(placed.map((order) => order['userId'])).toEqual(users);

    const processed = await Promise.all(
      [1, 2].map(() => worker.request('POST', '/orders/process-pending', { user: 'u1', scope: 'orders:process' })),
    );
    expect(processed).toEqual([expect.objectContaining({ status: 202 }), expect.objectContaining({ status: 202 })]);
    expect(Math.max(...processed.map(({ body }) => body['processed'] as number))).toBe(3);

    const receipts = await Promise.all(orders.map((id, i) => worker.document('receipts', id, users[i]!)));
    expect(receipts).toEqual(orders.map((orderId, i) => expect.objectContaining({ orderId, priority: 'high', totalCents: 450 * (i + 1) })));
    // Asked for twice, run once: the second command had the same key.
    expect(await commands('OrdersWorkspace.ProcessOrderWorkflow')).toBe(3);
    await until('no order waits', async () => {
      const { status, body } = await worker.request('POST', '/orders/process-pending', { user: 'u1', scope: 'orders:process' });
      return status === 202 && body['processed'] === 0;
    });
    expect(await worker.request('GET', `/documents/orders/${orders[0]}`, { user: 'u1' })).toMatchObject({ status: 404 });
  });

  it.each([undefined, '', 'orders:processes', 'orders'])('answers 403 to a token with the scope %p', async (scope) => {
    const { status, body } = await worker.request('POST', '/orders/process-pending', {
      user: 'u1',
      ...(scope === undefined ? {} : { scope }),
    });
    expect({ status, body }).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
  });

  it('answers 400 with the path of the item that is wrong', async () => {
    const { status, body } = await place('u1', 0);
    expect({ status, errors: body['errors'] }).toEqual({
      status: 400,
      errors: [{ path: 'items[0].quantity', rule: 'min', message: 'quantity must not be less than 1', received: 'number' }],
    });
  });

  it('takes the items from any NATS client', async () => {
    const payload = { orderId: 'o-1', orderData: { items: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }] } };
    nc.publish('loopstack.run.OrdersWorkspace.ProcessOrderWorkflow', JSON.stringify({ userId: 'u9', payload }));
    expect(await worker.document('receipts', 'o-1', 'u9')).toMatchObject({ priority: 'normal', totalCents: 900 });
  });
});

describe('a protected endpoint', () => {
  const nowS = Math.floor(Date.now() / 1000);
  const routes = [
    ['POST', '/applications/submit'],
    ['POST', '/orders'],
    ['POST', '/orders/process-pending'],
    ['PUT', '/reports/subscription'],
    ['GET', '/documents/receipts/o-1'],
  ] as const;

  it.each(routes)('%s %s answers 401 without a token', async (method, path) => {
    const { status, body, headers } = await worker.request(method, path);
    expect({ status, body }).toEqual({
      status: 401,
      body: { statusCode: 401, code: 'UNAUTHENTICATED', message: 'No valid token', fix: expect.any(String) },
    });
    expect(headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each<[string, string]>([
    ['that has expired', token({ sub: 'u1', exp: nowS - 1 })],
    ['of another secret', token({ sub: 'u1' }, { secret: 'another-secret-of-at-least-32-bytes!!' })],
    [
      'without a signature',
      `${token({ sub: 'u1' }, { header: { alg: 'none' } })
        .split('.')
        .slice(0, 2)
        .join('.')}.`,
    ],
    ['of another algorithm', token({ sub: 'u1' }, { header: { alg: 'HS512' }, hash: 'sha512' })],
    ['that names nobody', token({})],
    ['whose subject is empty', token({ sub: '' })],
    ['whose subject is no string', token({ sub: 1 })],
    ['that never ends', token({ sub: 'u1', exp: undefined })],
    ['that does not say when it was issued', token({ sub: 'u1', iat: undefined })],
    ['for a hundred years', token({ sub: 'u1', exp: nowS + 100 * 365 * 86_400 })],
    ['for longer than a day', token({ sub: 'u1', exp: nowS + 86_400 + 120 })],
    ['of the future', token({ sub: 'u1', iat: nowS + 3600, exp: nowS + 7200 })],
    ['that is not valid yet', token({ sub: 'u1', nbf: nowS + 3600 })],
    ['of another issuer', token({ sub: 'u1', iss: 'https://elsewhere' })],
    ['of no issuer', token({ sub: 'u1', iss: undefined })],
    ['for another audience', token({ sub: 'u1', aud: ['billing', 'mail'] })],
    ['for no audience', token({ sub: 'u1', aud: undefined })],
    ['that is none', 'hello'],
  ])('answers 401 to a token %s', async (_, bearer) => {
    const { status } = await worker.request('POST', '/orders/process-pending', { headers: { authorization: `Bearer ${bearer}` } });
    expect(status).toBe(401);
  });
});

describe('an error', () => {
  it.each([
    ['GET', '/nowhere', { user: 'u1' }, 404, 'ROUTE_UNKNOWN'],
    ['GET', '/documents/receipts/none', { user: 'u1' }, 404, 'DOCUMENT_UNKNOWN'],
    ['GET', '/documents/secrets/none', { user: 'u1' }, 404, 'DOCUMENT_UNKNOWN'],
    ['GET', `/documents/receipts/${'x'.repeat(300)}`, { user: 'u1' }, 404, 'DOCUMENT_UNKNOWN'],
    ['GET', '/documents/receipts/%E0%A4%A', { user: 'u1' }, 400, 'BAD_REQUEST'],
    ['POST', '/run-my-workflow', {}, 400, 'REQUEST_INVALID'],
    ['POST', '/run-my-workflow', { body: '{"message":' }, 400, 'BODY_NOT_JSON'],
    ['POST', '/run-my-workflow', { body: '{"message":"a","message":"b"}' }, 400, 'BODY_NOT_IJSON'],
    ['POST', '/run-my-workflow', { body: `{"message":${'['.repeat(20_000)}${']'.repeat(20_000)}}` }, 400, 'BODY_TOO_DEEP'],
    ['POST', '/run-my-workflow', { body: JSON.stringify({ message: 'x'.repeat(1_100_000) }) }, 413, 'BODY_TOO_LARGE'],
    ['POST', '/run-my-workflow', { body: '{}', headers: { 'content-encoding': 'rot13' } }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['POST', '/run-my-workflow', { body: '"hello"' }, 400, 'REQUEST_INVALID'],
    ['POST', '/run-my-workflow', { body: '[]' }, 400, 'REQUEST_INVALID'],
  ])('%s %s has the one shape', async (method, path, request, statusCode, code) => {
    const { status, body } = await worker.request(method, path, request);
    expect(body).toMatchObject({ statusCode, code, message: expect.any(String) });
    expect(status).toBe(statusCode);
    expect(Object.keys(body).filter((key) => !['statusCode', 'code', 'message', 'fix', 'errors'].includes(key))).toEqual([]);
    expect(JSON.stringify(body)).not.toMatch(/\bat .*\.js|node_modules/);
  });
});
