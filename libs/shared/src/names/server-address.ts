import { LoopstackError } from '../error.js';

/** Where servers are, and who one is there. */
export interface ServerAddress {
  /** `host:port`, as messages may show them. */
  readonly hosts: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** A connection without TLS is refused. */
  readonly tls: boolean;
}

const SCHEME = /^\w+:\/\//;

/**
 * Reads `nats://user:password@host:port`, `nats://token@host`, `tls://host`, `host:port`, or several of them with commas between.
 * The NATS client library would ignore the credentials in them.
 * @param strict refuses `host:port` without a scheme
 * @throws LoopstackError SERVERS_INVALID; it quotes nothing, since there may be a password
 */
export function parseServers(servers: string | readonly string[], strict = false): ServerAddress {
  const texts = [servers].flat().flatMap((text) => text.split(','));
  const urls = texts.map((text, index) => {
    const trimmed = text.trim();
    const full = strict || SCHEME.test(trimmed) ? trimmed : `nats://${trimmed}`;
    const url = URL.canParse(full) ? new URL(full) : undefined;
    if (!url || !/^(nats|tls):$/.test(url.protocol) || url.hostname === '')
      throw invalid(`server ${index + 1} of ${texts.length} is no nats:// or tls:// URL`);
    return url;
  });
  const [first] = urls;
  if (first === undefined) throw invalid('there is none');
  const { protocol, username, password } = first;
  urls.forEach((url, index) => {
    if (url.protocol !== protocol) throw invalid('nats:// and tls:// are mixed');
    const differs = url.username !== username || url.password !== password;
    if (differs && (url.username !== '' || url.password !== '')) throw invalid(`server ${index + 1} has other credentials than the first`);
  });
  const name = decoded(username);
  return {
    hosts: Object.freeze(urls.map(({ host }) => host)),
    user: password === '' ? undefined : name,
    password: password === '' ? undefined : decoded(password),
    token: password === '' && name !== '' ? name : undefined,
    tls: protocol === 'tls:',
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('the credentials are not percent-encoded (% is %25)');
  }
}

const invalid = (reason: string): LoopstackError => new LoopstackError('SERVERS_INVALID', { reason });
