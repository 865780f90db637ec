import { readFileSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings, SettingsError, VARIABLES, type Settings } from './settings.js';

const SECRET = 'a'.repeat(32);

/** What production demands, and no more. */
const PRODUCTION = { NODE_ENV: 'production', JWT_SECRET: SECRET, JWT_ISSUER: 'https://issuer', JWT_AUDIENCE: 'orders' };

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    readSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('readSettings', () => {
  it('needs nothing outside of production', () => {
    expect(readSettings({})).toEqual<Settings>({
      production: false,
      port: 3000,
      host: undefined,
      jwt: { secret: expect.any(String), secretGenerated: true, issuer: 'loopstack', audience: 'loopstack', maxAgeMs: 86_400_000 },
      rateLimit: 600,
      trustedProxies: 0,
      stripeWebhookSecret: undefined,
      logLevels: ['log', 'warn', 'error', 'fatal'],
      logFormat: 'text',
      nats: { servers: ['127.0.0.1:4222'], user: undefined, password: undefined, token: undefined, tls: false, credentials: undefined },
      prefix: 'loopstack',
      replicas: undefined,
      roles: ['producer', 'worker'],
      workspaces: undefined,
      shutdownGraceMs: 25_000,
      maxBlockedMs: undefined,
    });
  });

  it('reads every variable', () => {
    const dir = mkdtempSync(join(tmpdir(), 'loopstack-settings-'));
    const creds = join(dir, 'user.creds');
    writeFileSync(creds, 'seed');
    const settings = readSettings({
      NODE_ENV: 'production',
      PORT: '8080',
      HOST: '127.0.0.1',
      NATS_URL: 'tls://user:p%40ss@a:4222, tls://b:4222',
      NATS_CREDS: creds,
      JWT_SECRET: SECRET,
      JWT_ISSUER: 'https://issuer',
      JWT_AUDIENCE: 'orders',
      JWT_MAX_AGE: '15m',
      RATE_LIMIT: '60',
      TRUSTED_PROXIES: '2',
      STRIPE_WEBHOOK_SECRET: 'whsec_1',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'text',
      LOOPSTACK_PREFIX: 'tenant-1',
      LOOPSTACK_REPLICAS: '3',
      LOOPSTACK_ROLES: 'worker',
      LOOPSTACK_WORKSPACES: 'Orders, Audit',
      SHUTDOWN_GRACE: '1.5m',
      MAX_BLOCKED: '10m',
    });
    rmSync(dir, { recursive: true });
    expect(settings).toEqual<Settings>({
      production: true,
      port: 8080,
      host: '127.0.0.1',
      jwt: { secret: SECRET, secretGenerated: false, issuer: 'https://issuer', audience: 'orders', maxAgeMs: 900_000 },
      rateLimit: 60,
      trustedProxies: 2,
      stripeWebhookSecret: 'whsec_1',
      logLevels: ['warn', 'error', 'fatal'],
      logFormat: 'text',
      nats: { servers: ['a:4222', 'b:4222'], user: 'user', password: 'p@ss', token: undefined, tls: true, credentials: expect.anything() },
      prefix: 'tenant-1',
      replicas: 3,
      roles: ['worker'],
      workspaces: ['Orders', 'Audit'],
      shutdownGraceMs: 90_000,
      maxBlockedMs: 600_000,
    });
    expect(Buffer.from(settings.nats.credentials!).toString()).toBe('seed');
  });

  it('takes a lone name before the host for a token', () => {
    expect(readSettings({ NATS_URL: 'nats://s3cr%3At@a:4222' }).nats).toMatchObject({
      servers: ['a:4222'],
      user: undefined,
      password: undefined,
      token: 's3cr:t',
    });
  });

  it('cannot be changed afterwards', () => {
    const settings = readSettings({});
    expect(Object.isFrozen(settings)).toBe(true);
    expect(Object.isFrozen(settings.nats)).toBe(true);
    expect(Object.isFrozen(settings.nats.servers)).toBe(true);
  });

  it('takes an empty variable for an absent one', () => {
    expect(readSettings({ PORT: '', HOST: ' ', STRIPE_WEBHOOK_SECRET: '' })).toMatchObject({
      port: 3000,
      host: undefined,
      stripeWebhookSecret: undefined,
    });
  });

  it('makes up another secret at each start of a development process', () => {
    const [one, two] = [readSettings({}).jwt.secret, readSettings({}).jwt.secret];
    expect(Buffer.byteLength(one)).toBeGreaterThanOrEqual(32);
    expect(one).not.toBe(two);
  });

  it.each(['', ' ', undefined])('stops a production start without JWT_SECRET (%p) and says so', (secret) => {
    const env = { ...PRODUCTION, JWT_SECRET: secret };
    expect(problemsOf(env)).toEqual([expect.stringMatching(/^JWT_SECRET: missing; production needs one of at least 32 bytes/)]);
  });

  it.each(['JWT_ISSUER', 'JWT_AUDIENCE'])('stops a production start without %s', (name) => {
    expect(problemsOf({ ...PRODUCTION, [name]: '' })).toEqual([expect.stringMatching(`^${name}: missing; production needs the`)]);
  });

  it.each(['production', 'development'])('refuses a JWT_SECRET of 31 bytes in %s without quoting it', (mode) => {
    const problems = problemsOf({ ...PRODUCTION, NODE_ENV: mode, JWT_SECRET: 'hushhush-hushhush-hushhush-hush' });
    expect(problems).toEqual([expect.stringMatching(/^JWT_SECRET: expected at least 32 bytes, received 31/)]);
    expect(problems[0]).not.toContain('hush');
  });

  it('counts the bytes of the secret, not its characters', () => {
    expect(readSettings({ JWT_SECRET: 'é'.repeat(16) }).jwt.secret).toHaveLength(16);
  });

  it('takes JSON logs for production', () => {
    expect(readSettings(PRODUCTION).logFormat).toBe('json');
  });

  it.each([
    ['NODE_ENV', 'prod', 'expected one of development, production, test, received "prod"'],
    ['PORT', '80a', 'expected an integer from 0 to 65535, received "80a"'],
    ['PORT', '65536', 'expected an integer from 0 to 65535, received "65536"'],
    ['PORT', '-1', 'expected an integer from 0 to 65535, received "-1"'],
    ['NATS_URL', 'nats://ok:4222,http://user:hush@b', 'server 2 of 2 is no nats:// or tls:// URL'],
    ['NATS_URL', '127.0.0.1:4222', 'server 1 of 1 is no nats:// or tls:// URL'],
    ['NATS_URL', 'nats://a:4222,tls://b:4222', 'nats:// and tls:// are mixed'],
    ['NATS_URL', 'nats://u:hush@a:4222,nats://v:hush@b:4222', 'server 2 has other credentials than the first'],
    ['NATS_CREDS', '/nowhere/user.creds', '/nowhere/user.creds cannot be read (ENOENT)'],
    ['JWT_MAX_AGE', 'a day', expect.stringContaining('Option JWT_MAX_AGE is invalid')],
    ['RATE_LIMIT', '-1', 'expected an integer from 0 to 1000000, received "-1"'],
    ['TRUSTED_PROXIES', 'all', 'expected an integer from 0 to 10, received "all"'],
    ['LOG_LEVEL', 'info', 'expected one of verbose, debug, log, warn, error, fatal, received "info"'],
    ['LOG_FORMAT', 'xml', 'expected one of text, json, received "xml"'],
    ['LOOPSTACK_PREFIX', 'a.b', 'expected 1 to 64 of A-Z a-z 0-9 _ and -, received "a.b"'],
    ['LOOPSTACK_ROLES', 'worker,web', 'expected one of producer, worker, received "web"'],
    ['LOOPSTACK_WORKSPACES', 'a b', 'expected 1 to 64 of A-Z a-z 0-9 _ and -, received "a b"'],
    ['LOOPSTACK_REPLICAS', '2', 'expected one of 1, 3, 5, received "2"'],
    ['SHUTDOWN_GRACE', 'soon', expect.stringContaining('Option SHUTDOWN_GRACE is invalid')],
  ])('refuses %s=%s', (name, value, problem) => {
    const expected: unknown = typeof problem === 'string' ? `${name}: ${problem}` : problem;
    expect(problemsOf({ [name]: value })).toEqual([expected]);
  });

  it('tells all problems at once', () => {
    const env = { ...PRODUCTION, JWT_SECRET: '', PORT: 'x', LOG_LEVEL: 'loud' };
    expect(problemsOf(env).map((problem) => problem.split(':')[0])).toEqual(['PORT', 'LOG_LEVEL', 'JWT_SECRET']);
    expect(() => readSettings(env)).toThrow(/^The settings are invalid:\n {2}- PORT: .*\n {2}- LOG_LEVEL: .*\n {2}- JWT_SECRET: /);
  });
});

describe('config/worker.env.example', () => {
  const text = readFileSync(new URL('../config/worker.env.example', import.meta.url), 'utf8');
  /** Blocks of comment lines, each followed by one commented assignment. */
  const documented = [...text.matchAll(/((?:^# .*\n)+)^#([A-Z_]+)=(.*)$/gm)].map(([, doc, name, value]) => ({
    name,
    default: value,
    doc: doc!.replaceAll(/^# /gm, '').trim().replaceAll('\n', ' '),
  }));

  it('documents each variable that the worker reads, and no other, with its meaning and its default', () => {
    const read = Object.entries<{ doc: string; default?: string }>(VARIABLES).map(([name, { doc, default: value = '' }]) => ({
      name,
      default: value,
      doc,
    }));
    expect(documented).toEqual(read);
  });

  it('holds nothing else', () => {
    expect(text.match(/^#?[A-Z_]+=/gm)).toHaveLength(documented.length);
  });
});
