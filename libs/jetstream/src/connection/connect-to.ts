import { credsAuthenticator, jwtAuthenticator, nkeyAuthenticator, type ConnectionOptions, type NatsConnection } from 'nats';
import { dialAny } from './dial.js';

/** How to reach a deployment, and as whom. */
export interface NatsAccess {
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Contents of a credentials file (user JWT and NKey seed). */
  readonly credentials?: Uint8Array;
  /** Contents of an NKey seed file. */
  readonly nkeySeed?: Uint8Array;
  /** User JWT; together with `nkeySeed`, or of a bearer. */
  readonly jwt?: string;
  /** Refuses a connection without TLS; paths of PEM files. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string; readonly handshakeFirst?: boolean };
  readonly inboxPrefix?: string;
  /** How the server's lists of connections name it. Default `loopstack`. */
  readonly name?: string;
  /** Longest wait for the first connection. Default 5 s. */
  readonly timeoutMs?: number;
}

/** Connects, or says at once that it cannot; later it reconnects for ever. @throws LoopstackError CONNECTION_DENIED, CONNECTION_FAILED */
export function connectTo(access: NatsAccess): Promise<NatsConnection> {
  const { user, password, token, credentials, jwt, tls, inboxPrefix } = access;
  // A file ends with a new line.
  const nkeySeed = access.nkeySeed && Buffer.from(Buffer.from(access.nkeySeed).toString().trim());
  const options: ConnectionOptions = {
    servers: [...access.servers],
    name: access.name ?? 'loopstack',
    timeout: access.timeoutMs ?? 5000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
  };
  if (user !== undefined) options.user = user;
  if (password !== undefined) options.pass = password;
  if (token !== undefined) options.token = token;
  if (inboxPrefix !== undefined) options.inboxPrefix = inboxPrefix;
  if (tls) options.tls = tls;
  if (credentials !== undefined) options.authenticator = credsAuthenticator(credentials);
  else if (jwt !== undefined) options.authenticator = jwtAuthenticator(jwt, nkeySeed);
  else if (nkeySeed !== undefined) options.authenticator = nkeyAuthenticator(nkeySeed);
  return dialAny(options);
}
