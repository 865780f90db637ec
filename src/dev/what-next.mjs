// What `npm start` prints: what runs, and what to try with it.

import { createHmac } from 'node:crypto';

const DAY_S = 86_400;

/**
 * A JSON Web Token as the worker's guard accepts it (RFC 7519, HS256).
 *
 * @param {string} secret
 * @param {{ sub: string, name: string }} claims
 * @param {number} [nowMs]
 */
export function developmentToken(secret, claims, nowMs = Date.now()) {
  const iat = Math.floor(nowMs / 1000);
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, iat, exp: iat + DAY_S })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/**
 * @param {object} running
 * @param {{ shown: string, description: string }} running.nats its URL without a password
 * @param {number} running.port of the worker's HTTP side
 * @param {string | undefined} running.jwtSecret
 */
export function whatNext({ nats, port, jwtSecret }) {
  const http = `http://localhost:${port}`;
  const json = `-H 'content-type: application/json'`;
  const order = { orderId: 'o-1', orderData: { id: 'o-1', priority: 1, userId: 'u1' }, priority: 1 };
  // In production nobody gets a token for nothing.
  const isDevelopment = jwtSecret !== undefined && process.env['NODE_ENV'] !== 'production';
  const token = isDevelopment ? developmentToken(jwtSecret, { sub: 'u1', name: 'Ada' }) : '(signed with JWT_SECRET)';
  const application = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.com', resume: 'Analyst', coverLetter: 'Hello' };
  return `
Loopstack over NATS is ready.

  NATS  ${nats.shown}  ${nats.description}
  HTTP  ${http}  GET /health/live, /health/ready

Try next, in another terminal:

  # a run, started by an HTTP endpoint
  curl -X POST ${http}/run-my-workflow ${json} -d '${JSON.stringify({ message: 'hello' })}'

  # a run, started by any NATS client
  nats -s ${nats.shown} pub loopstack.run.OrdersWorkspace.ProcessOrderWorkflow '${JSON.stringify({ userId: 'u1', payload: order })}'

  # a protected endpoint, with a token of one day for the user u1
  TOKEN=${token}
  curl -X POST ${http}/applications/submit -H "authorization: Bearer $TOKEN" ${json} -d '${JSON.stringify(application)}'

Ctrl-C stops everything.
`;
}
