// What `npm start` prints: what runs, and what to try with it. A test runs every command of it.

import { createHmac } from 'node:crypto';

const DAY_S = 86_400;
const ORDER = {
  userId: 'u1',
  payload: { orderId: 'o-1', priority: 'high', orderData: { items: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }] } },
};
const APPLICATION = {
  firstName: 'Ada',
  lastName: 'Lovelace',
  email: 'ada@example.com',
  resume: 'Wrote the first program, in 1843.',
  coverLetter: 'I would like to write the next one.',
};

/**
 * A JSON Web Token as the worker's guard accepts it (RFC 7519, HS256), good for a day.
 *
 * @param {string} secret
 * @param {{ sub: string, name: string, scope: string }} claims
 * @param {NodeJS.ProcessEnv} env
 */
function developmentToken(secret, claims, env) {
  const iat = Math.floor(Date.now() / 1000); // wall clock: by which a token is judged
  const iss = env['JWT_ISSUER'] || 'loopstack';
  const aud = env['JWT_AUDIENCE'] || 'loopstack';
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, iss, aud, iat, exp: iat + DAY_S })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/**
 * @param {object} running
 * @param {{ shown: string, description: string }} running.nats its URL without a password
 * @param {string} running.http URL of the worker's HTTP side
 * @param {string | undefined} running.jwtSecret
 * @param {NodeJS.ProcessEnv} [running.env] default `process.env`
 */
export function whatNext({ nats, http, jwtSecret, env = process.env }) {
  const json = `-H 'content-type: application/json'`;
  const subject = `${env['LOOPSTACK_PREFIX'] || 'loopstack'}.run.OrdersWorkspace.ProcessOrderWorkflow`;
  // In production no user gets a token for free.
  const isDevelopment = jwtSecret !== undefined && env['NODE_ENV'] !== 'production';
  const token = isDevelopment
    ? developmentToken(jwtSecret, { sub: 'u1', name: 'Ada', scope: 'orders:process' }, env)
    : '<signed with JWT_SECRET, "sub": "u1", and iss, aud, iat, exp>';
  return `
Loopstack over NATS is ready.

  NATS  ${nats.shown}  ${nats.description}
  HTTP  ${http}  GET /health/live, /health/ready

Try next, in another terminal:

  # a run that an HTTP endpoint starts
  curl -X POST ${http}/run-my-workflow ${json} -d '{"message":"hello from NATS"}'

  # a run that a message starts: from any NATS client, such as the nats command, or the one in this checkout
  nats -s ${nats.shown} pub ${subject} '${JSON.stringify(ORDER)}'
  node -e 'import("nats").then(async ({ connect }) => { const nc = await connect({ servers: "${nats.shown}" }); nc.publish("${subject}", JSON.stringify(${JSON.stringify(ORDER)})); await nc.drain(); })'

  # what that run left, from a protected endpoint; the token is the user u1's, for a day
  TOKEN='${token}'
  curl ${http}/documents/receipts/o-1 -H "authorization: Bearer $TOKEN"

  # a run on behalf of the user whom the token names
  curl -X POST ${http}/applications/submit -H "authorization: Bearer $TOKEN" ${json} -d '${JSON.stringify(APPLICATION)}'

Ctrl-C stops everything.
`;
}
