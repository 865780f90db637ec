import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { NatsRole } from '@loopstack/nats';
import type { LogLevel } from '@nestjs/common';
import { durationMs, isName, parseServers, type Duration, type LoopstackError } from '@loopstack/shared';

/** What an operator may set. Read once, at the start; nothing else looks at the environment. */
export interface Settings {
  readonly production: boolean;
  readonly port: number;
  readonly host: string | undefined;
  readonly jwt: JwtSettings;
  /** Requests a minute that one client address may make; 0: any number. */
  readonly rateLimit: number;
  /** Reverse proxies in front of this process whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: number;
  readonly stripeWebhookSecret: string | undefined;
  /** From the least important one that is logged upwards. */
  readonly logLevels: readonly LogLevel[];
  readonly logFormat: 'text' | 'json';
  readonly nats: NatsAccess;
  readonly prefix: string;
  readonly replicas: number | undefined;
  readonly roles: readonly NatsRole[];
  /** Undefined: all that are registered. */
  readonly workspaces: readonly string[] | undefined;
  readonly shutdownGraceMs: number;
  readonly maxBlockedMs: number | undefined;
}

/** Which tokens the HTTP side accepts. */
interface JwtSettings {
  readonly secret: string;
  /** The secret was made up for this process: tokens end with it. */
  readonly secretGenerated: boolean;
  readonly issuer: string;
  readonly audience: string;
  readonly maxAgeMs: number;
}

export interface NatsAccess {
  /** Without credentials: the client library would ignore them there. */
  readonly servers: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** Refuses a connection without TLS. */
  readonly tls: boolean;
  /** Contents of the credentials file. */
  readonly credentials: Uint8Array | undefined;
}

export const SETTINGS = Symbol('settings');

/** All that is wrong with the environment, in one error. Never quotes a secret. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';

  constructor(readonly problems: readonly string[]) {
    super(`The settings are invalid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
}

interface Variable<T> {
  /** What it means, for config/worker.env.example. */
  readonly doc: string;
  /** Text that stands for an absent or empty variable. */
  readonly default?: string;
  /** @throws Error whose message tells what is expected */
  readonly parse: (text: string) => T;
}

const variable = <T>(doc: string, fallback: string | undefined, parse: (text: string) => T): Variable<T> =>
  fallback === undefined ? { doc, parse } : { doc, default: fallback, parse };

const ROLES = ['producer', 'worker'] as const satisfies readonly NatsRole[];

const LOG_LEVELS = ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'] as const satisfies readonly LogLevel[];

/** RFC 7518, 3.2: a key of HS256 has at least as many bits as its output. */
const MINIMUM_SECRET_BYTES = 32;

/** Every variable, its meaning and its default: the one place. */
export const VARIABLES = {
  NODE_ENV: variable(
    'production refuses to start without JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE, and logs JSON. Also: development, test.',
    'development',
    (text) => oneOf(['development', 'production', 'test'], text),
  ),
  PORT: variable('Port of the HTTP side; 0 takes a free one.', '3000', (text) => integer(text, 0, 65_535)),
  HOST: variable('Address that the HTTP side listens on. Default: all of them.', undefined, (text) => text),
  NATS_URL: variable(
    'NATS servers, separated by commas: nats://host:port, or tls:// to insist on TLS; user:password@ or token@ before the host of the first.',
    'nats://127.0.0.1:4222',
    natsUrl,
  ),
  NATS_CREDS: variable('Path of a NATS credentials file (user JWT and NKey seed).', undefined, (path) => readFile(path)),
  JWT_SECRET: variable(
    'Key of the HS256 tokens that protected endpoints require, at least 32 bytes. Outside production the worker generates one at each start.',
    undefined,
    secret,
  ),
  JWT_ISSUER: variable('Issuer that tokens must name (`iss`). Default: loopstack; production must set it.', undefined, (text) => text),
  JWT_AUDIENCE: variable('Audience that tokens must name (`aud`). Default: loopstack; production must set it.', undefined, (text) => text),
  JWT_MAX_AGE: variable(
    'Longest validity of a token, from `iat` to `exp`, such as 1h. The worker refuses tokens that are valid for longer.',
    '24h',
    duration('JWT_MAX_AGE'),
  ),
  RATE_LIMIT: variable('Requests a minute that one client address may send to this process; 0 allows any number.', '600', (text) =>
    integer(text, 0, 1_000_000),
  ),
  TRUSTED_PROXIES: variable(
    'Number of reverse proxies in front of this process. RATE_LIMIT reads the client address from their X-Forwarded-For.',
    '0',
    (text) => integer(text, 0, 10),
  ),
  STRIPE_WEBHOOK_SECRET: variable(
    "Signing secret of Stripe's webhook endpoint (whsec_...). Without it the worker refuses every delivery.",
    undefined,
    (text) => text,
  ),
  LOG_LEVEL: variable(`Lowest level to log: ${LOG_LEVELS.join(', ')}.`, 'log', (text) =>
    LOG_LEVELS.slice(LOG_LEVELS.indexOf(oneOf(LOG_LEVELS, text))),
  ),
  LOG_FORMAT: variable('text or json. Default: json in production, else text.', undefined, (text) => oneOf(['text', 'json'], text)),
  LOOPSTACK_PREFIX: variable(
    'First token of every subject and, in upper case, of every stream. 1 to 64 of A-Z a-z 0-9 _ and -.',
    'loopstack',
    name,
  ),
  LOOPSTACK_REPLICAS: variable('Copies of each stream in a cluster: 1, 3 or 5. Default: unchanged, 1 for new streams.', undefined, (text) =>
    Number(oneOf(['1', '3', '5'], text)),
  ),
  LOOPSTACK_ROLES: variable(
    `Tasks of this process, separated by commas: ${ROLES.join(', ')}. Without worker it consumes nothing; without producer it starts no runs.`,
    ROLES.join(','),
    (text) => Object.freeze(list(text).map((role) => oneOf(ROLES, role))),
  ),
  LOOPSTACK_WORKSPACES: variable('Workspaces that this process serves, separated by commas. Default: all of them.', undefined, (text) =>
    Object.freeze(list(text).map(name)),
  ),
  SHUTDOWN_GRACE: variable(
    'Time that running workflows get to finish when the process is told to stop, such as 25s.',
    '25s',
    duration('SHUTDOWN_GRACE'),
  ),
  MAX_BLOCKED: variable(
    'Time for which a workflow may block the event loop before the process is killed, such as 10m. Default: four times the longest lease, at least 2m.',
    undefined,
    (text) => durationMs('MAX_BLOCKED', text as Duration),
  ),
} as const satisfies Record<string, Variable<unknown>>;

type VariableName = keyof typeof VARIABLES;
type Values = { [N in VariableName]: ReturnType<(typeof VARIABLES)[N]['parse']> | undefined };

/**
 * @param env default: the environment of this process
 * @throws SettingsError with all problems
 */
export function readSettings(env: Readonly<Record<string, string | undefined>> = process.env): Settings {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [variableName, { parse, default: fallback }] of Object.entries<Variable<unknown>>(VARIABLES)) {
    // Compose files and charts pass an unset variable as an empty one.
    const text = env[variableName]?.trim() || fallback;
    if (text === undefined) continue;
    try {
      values[variableName] = parse(text);
    } catch (error) {
      problems.push(`${variableName}: ${(error as Error).message}`);
    }
  }
  const known = values as Values;
  const production = known.NODE_ENV === 'production';
  if (production) problems.push(...missingInProduction(env));
  if (problems.length > 0) throw new SettingsError(problems);

  const present = known as { [N in VariableName]: Exclude<Values[N], undefined> };
  return Object.freeze<Settings>({
    production,
    port: present.PORT,
    host: known.HOST,
    jwt: Object.freeze({
      secret: known.JWT_SECRET ?? randomBytes(48).toString('base64url'),
      secretGenerated: known.JWT_SECRET === undefined,
      issuer: known.JWT_ISSUER ?? 'loopstack',
      audience: known.JWT_AUDIENCE ?? 'loopstack',
      maxAgeMs: present.JWT_MAX_AGE,
    }),
    rateLimit: present.RATE_LIMIT,
    trustedProxies: present.TRUSTED_PROXIES,
    stripeWebhookSecret: known.STRIPE_WEBHOOK_SECRET,
    logLevels: Object.freeze(present.LOG_LEVEL),
    logFormat: known.LOG_FORMAT ?? (production ? 'json' : 'text'),
    nats: Object.freeze({ ...present.NATS_URL, credentials: known.NATS_CREDS }),
    prefix: present.LOOPSTACK_PREFIX,
    replicas: known.LOOPSTACK_REPLICAS,
    roles: present.LOOPSTACK_ROLES,
    workspaces: known.LOOPSTACK_WORKSPACES,
    shutdownGraceMs: present.SHUTDOWN_GRACE,
    maxBlockedMs: known.MAX_BLOCKED,
  });
}

/** What has no default that is safe in production. */
function missingInProduction(env: Readonly<Record<string, string | undefined>>): string[] {
  const missing = {
    JWT_SECRET: `production needs one of at least ${MINIMUM_SECRET_BYTES} bytes (openssl rand -base64 48)`,
    JWT_ISSUER: 'production needs the issuer of its tokens, or those of any other service with the same key are accepted',
    JWT_AUDIENCE: 'production needs the audience of its tokens, or those made for another service are accepted',
  };
  return Object.entries(missing)
    .filter(([variableName]) => !env[variableName]?.trim())
    .map(([variableName, why]) => `${variableName}: missing; ${why}`);
}

/** Milliseconds. */
function duration(variableName: string): (text: string) => number {
  return (text) => durationMs(variableName, text as Duration);
}

function oneOf<const T extends string>(allowed: readonly T[], text: string): T {
  if (!(allowed as readonly string[]).includes(text))
    throw new Error(`expected one of ${allowed.join(', ')}, received ${JSON.stringify(text)}`);
  return text as T;
}

const list = (text: string): string[] => text.split(',').map((one) => one.trim());

function integer(text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new Error(`expected an integer from ${min} to ${max}, received ${JSON.stringify(text)}`);
  return value;
}

function name(text: string): string {
  if (!isName(text)) throw new Error(`expected 1 to 64 of A-Z a-z 0-9 _ and -, received ${JSON.stringify(text)}`);
  return text;
}

/** Not quoted in an error: it may hold a password. */
function natsUrl(text: string): Omit<NatsAccess, 'credentials'> {
  try {
    const { hosts: servers, ...access } = parseServers(text, true);
    return { servers, ...access };
  } catch (error) {
    throw new Error((error as LoopstackError).details['reason'] as string, { cause: error });
  }
}

function secret(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes < MINIMUM_SECRET_BYTES)
    throw new Error(`expected at least ${MINIMUM_SECRET_BYTES} bytes, received ${bytes} (openssl rand -base64 48 makes one)`);
  return text;
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause: error });
  }
}
