import type { NatsAccess } from '@loopstack/jetstream';
import {
  commandSigner,
  isName,
  parseServers,
  type CommandSigner,
  type LoopstackError,
  type ServerAddress,
} from '@loopstack/shared/contract';
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { UsageError } from './exit.js';

/** The options that every command takes. */
export interface ConnectionFlags {
  readonly server?: string;
  readonly context?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly prefix?: string;
  readonly domain?: string;
  readonly sign?: string;
}

/** Which deployment, and as whom. */
export interface Settings {
  readonly access: NatsAccess;
  /** The servers without credentials, for people. */
  readonly shown: string;
  readonly prefix: string | undefined;
  readonly domain: string | undefined;
  /** Signs commands, for workspaces whose workers demand it. */
  readonly sign: CommandSigner | undefined;
  /** Who asks, for records: user and host. */
  readonly by: string;
}

/** A context file of the `nats` command, as far as it concerns a connection. */
interface NatsContext {
  readonly url?: string;
  readonly token?: string;
  readonly user?: string;
  readonly password?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly nsc?: string;
  readonly user_jwt?: string;
  readonly jetstream_domain?: string;
  readonly jetstream_api_prefix?: string;
  readonly inbox_prefix?: string;
  readonly tls_first?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_SERVER = 'nats://127.0.0.1:4222';

/** The variables that are read; those of the `nats` command have its names. */
const VARIABLES = [
  'NATS_URL',
  'NATS_CONTEXT',
  'NATS_CREDS',
  'NATS_NKEY',
  'NATS_USER',
  'NATS_PASSWORD',
  'NATS_TOKEN',
  'NATS_CA',
  'NATS_CERT',
  'NATS_KEY',
  'NATS_JS_DOMAIN',
  'LOOPSTACK_PREFIX',
  'LOOPSTACK_SIGN',
] as const;

/**
 * A flag wins over a context that is named, that over the environment, that over the context that is selected with
 * `nats context select`.
 * @throws UsageError
 */
export function readSettings(flags: ConnectionFlags, env: Environment = process.env, home = homedir()): Settings {
  // Charts and compose files pass an unset variable as an empty one.
  const variable = (name: (typeof VARIABLES)[number]): string | undefined => env[name]?.trim() || undefined;
  const configuration = join(env['XDG_CONFIG_HOME']?.trim() || join(home, '.config'), 'nats');
  const named = flags.context ?? variable('NATS_CONTEXT');
  const chosen = named === undefined ? {} : readContext(configuration, named, home);
  const given = flags.server ?? chosen.url ?? variable('NATS_URL');
  // Who one is on the server of the selected context is not who one is on another.
  const selected = named === undefined && given === undefined ? readSelectedContext(configuration, home) : {};
  const context = { ...selected, ...chosen };
  const pick = (flag: string | undefined, field: keyof NatsContext, name: (typeof VARIABLES)[number]): string | undefined =>
    flag ?? (chosen[field] as string | undefined) ?? variable(name) ?? (selected[field] as string | undefined);
  const servers = serversOf(given ?? selected.url ?? DEFAULT_SERVER);
  const credsFile = pick(flags.creds, 'creds', 'NATS_CREDS');
  const nkeyFile = pick(flags.nkey, 'nkey', 'NATS_NKEY');
  const tls = {
    ca: pick(flags.tlsCa, 'ca', 'NATS_CA'),
    cert: pick(flags.tlsCert, 'cert', 'NATS_CERT'),
    key: pick(flags.tlsKey, 'key', 'NATS_KEY'),
  };
  const user = servers.user ?? pick(undefined, 'user', 'NATS_USER');
  const password = servers.password ?? pick(undefined, 'password', 'NATS_PASSWORD');
  const token = servers.token ?? pick(undefined, 'token', 'NATS_TOKEN');
  const jwt = context.user_jwt;
  const inboxPrefix = context.inbox_prefix;
  const usesTls = servers.tls || tls.ca !== undefined || tls.cert !== undefined || context.tls_first === true;
  const prefix = flags.prefix ?? variable('LOOPSTACK_PREFIX');
  if (prefix !== undefined && !isName(prefix))
    throw new UsageError(`the prefix ${JSON.stringify(prefix)} is not 1 to 64 of A-Z a-z 0-9 _ and -`);
  return {
    access: {
      servers: servers.hosts,
      name: 'loopstack cli',
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(token === undefined ? {} : { token }),
      ...(credsFile === undefined ? {} : { credentials: readSecret('credentials', credsFile, home) }),
      ...(nkeyFile === undefined ? {} : { nkeySeed: readSecret('NKey', nkeyFile, home) }),
      ...(jwt === undefined ? {} : { jwt }),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      ...(usesTls
        ? {
            tls: {
              ...(tls.ca === undefined ? {} : { caFile: inHome(tls.ca, home) }),
              ...(tls.cert === undefined ? {} : { certFile: inHome(tls.cert, home) }),
              ...(tls.key === undefined ? {} : { keyFile: inHome(tls.key, home) }),
              ...(context.tls_first === true ? { handshakeFirst: true } : {}),
            },
          }
        : {}),
    },
    shown: servers.hosts.join(','),
    prefix,
    domain: pick(flags.domain, 'jetstream_domain', 'NATS_JS_DOMAIN'),
    sign: signer(flags.sign ?? variable('LOOPSTACK_SIGN'), home),
    by: whoAmI(),
  };
}

function readSelectedContext(configuration: string, home: string): NatsContext {
  const file = join(configuration, 'context.txt');
  const name = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  return name === '' ? {} : readContext(configuration, name, home);
}

function readContext(configuration: string, name: string, home: string): NatsContext {
  const file = isAbsolute(name) ? name : join(configuration, 'context', `${name}.json`);
  let context: NatsContext;
  try {
    context = JSON.parse(readFileSync(file, 'utf8')) as NatsContext;
  } catch (error) {
    throw new UsageError(`the context ${name} cannot be read: ${reasonOf(error)} (${file.replace(home, '~')})`);
  }
  // The nats command writes every field, most of them empty.
  const filled = Object.fromEntries(Object.entries(context).filter(([, value]) => value !== '')) as NatsContext;
  for (const field of ['nsc', 'jetstream_api_prefix'] as const) {
    if (filled[field] !== undefined)
      throw new UsageError(`the context ${name} uses ${field}, which this command does not support: pass --creds or --domain`);
  }
  return filled;
}

/** @throws UsageError */
function serversOf(text: string): ServerAddress {
  try {
    return parseServers(text);
  } catch (error) {
    throw new UsageError((error as LoopstackError).details['reason'] as string);
  }
}

function readSecret(what: string, file: string, home: string): Uint8Array {
  try {
    return readFileSync(inHome(file, home));
  } catch (error) {
    throw new UsageError(`the ${what} file ${file} cannot be read: ${reasonOf(error)}`);
  }
}

function signer(file: string | undefined, home: string): CommandSigner | undefined {
  if (file === undefined) return undefined;
  const seed = Buffer.from(readSecret('signing key', file, home))
    .toString('utf8')
    .trim();
  return commandSigner(seed);
}

function inHome(file: string, home: string): string {
  return resolve(file.replace(/^~(?=\/|$)/, home));
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

function whoAmI(): string {
  let name = 'unknown';
  try {
    name = userInfo().username;
  } catch {
    // A container may run as a user without a name.
  }
  return `${name}@${hostname()}`;
}

/** For worker processes that this command starts: this process's environment with some variables set. */
export function environmentWith(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...variables };
}

/** Colors are wanted unless NO_COLOR is set (no-color.org) or the terminal has none. */
export function wantsColor(env: Environment = process.env): boolean {
  return !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}
