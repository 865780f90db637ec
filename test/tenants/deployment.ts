import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { tenantExports, tenantImports, wireNames, type Tenant } from '@loopstack/shared';
import { encodeAccount, encodeActivation, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { execFile } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { credsAuthenticator, nkeyAuthenticator, nkeys, type ConnectionOptions } from 'nats';
import type { NatsOptions } from '@loopstack/nats';

const LOOPSTACK = fileURLToPath(new URL('../../libs/cli/bin/loopstack.js', import.meta.url));

/** A server with an account for workers and one for each tenant, and who is who on it. */
export interface Deployment {
  readonly server: NatsServer;
  /** Options of a worker, and a connection of an operator. */
  readonly worker: Pick<NatsOptions, 'connect' | 'credentials'>;
  readonly operator: ConnectionOptions;
  tenant(name: string): ConnectionOptions;
  stop(): Promise<void>;
}

export type Deploy = (tenants: readonly Tenant[], extra?: Extra) => Promise<Deployment>;

interface Extra {
  /** Tenants whose own account has JetStream. */
  readonly withJetStream?: readonly string[];
  /** Operator mode: tenants whose imports carry the activations of another one, or of other workspaces. */
  readonly activatedAs?: Readonly<Record<string, Partial<Tenant>>>;
}

/** As an operator makes it: `loopstack tenant add` for each tenant, and the server started with what it wrote. */
export const byConfiguration: Deploy = async (tenants, { withJetStream = [] } = {}) => {
  const home = await mkdtemp(join(tmpdir(), 'loopstack-tenants-'));
  const seeds = new Map<string, string>();
  for (const { name, workspaces, allow } of tenants) {
    const seedFile = join(home, `${name}.nk`);
    const rights = allow.length > 0 ? ['--allow', allow.join(',')] : [];
    await promisify(execFile)(
      process.execPath,
      [LOOPSTACK, 'tenant', 'add', name, '--workspaces', workspaces.join(','), ...rights, '--dir', home, '--seed-file', seedFile],
      { env: { PATH: process.env['PATH'] } },
    );
    seeds.set(name, (await readFile(seedFile, 'utf8')).trim());
    const users = join(home, 'tenants', `${name}.users.conf`);
    if (withJetStream.includes(name)) await writeFile(users, `jetstream: enabled\n${await readFile(users, 'utf8')}`);
  }
  const server = await startNatsServer({ configFile: join(home, 'tenants.conf'), env: { WORKER_PASSWORD: 'secret' } });
  const connect = { user: 'worker', pass: 'secret' };
  return {
    server,
    worker: { connect },
    operator: { servers: server.url, ...connect },
    tenant: (name) => ({ servers: server.url, authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.get(name))) }),
    stop: async () => {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
};

type KeyPair = ReturnType<typeof nkeys.createUser>;

const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signs with Node's own Ed25519: the library's takes half a second for each of a hundred signatures here. */
function quick(pair: KeyPair): KeyPair {
  const publicKey = pair.getPublicKey();
  const raw = (pair as unknown as { getRawSeed(): Uint8Array }).getRawSeed();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, raw]), format: 'der', type: 'pkcs8' });
  return Object.assign(pair, { getPublicKey: () => publicKey, sign: (data: Uint8Array) => sign(null, data, key) });
}

type Account = NonNullable<Parameters<typeof encodeAccount>[2]>;

const LIMITS = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
const limits = (jetStream: boolean): Account => ({ limits: { ...LIMITS, ...(jetStream ? JETSTREAM : {}) } });

/** The same in operator mode: exports that need an activation, which the account of the workers signs for each import. */
export const byOperator: Deploy = async (tenants, { withJetStream = [], activatedAs = {} } = {}) => {
  const names = wireNames();
  const [operator, system, workers] = [quick(nkeys.createOperator()), quick(nkeys.createAccount()), quick(nkeys.createAccount())];
  const credentials = new Map<string, Uint8Array>();
  const user = async (name: string, account: KeyPair): Promise<void> => {
    const key = quick(nkeys.createUser());
    credentials.set(name, fmtCreds(await encodeUser(name, key, account), key));
  };
  const accounts = new Map<string, string>();
  const account = async (name: string, key: KeyPair, claims: Account): Promise<void> => {
    accounts.set(key.getPublicKey(), await encodeAccount(name, key, claims, { signer: operator }));
  };
  await account('SYS', system, limits(false));
  const exported = tenantExports(names).map(({ kind, subject, why }) => ({ name: why, subject, type: kind, token_req: true }));
  await account('LOOPSTACK', workers, { ...limits(true), exports: exported });
  await user('worker', workers);
  const keys = new Map(tenants.map(({ name }) => [name, quick(nkeys.createAccount())]));
  for (const tenant of tenants) {
    const key = keys.get(tenant.name);
    const activated = { ...tenant, ...activatedAs[tenant.name] };
    const holder = keys.get(activated.name);
    const activations = tenantImports(names, activated).map(({ kind, subject, why }) =>
      encodeActivation(why, holder.getPublicKey(), workers, kind, { subject, kind }),
    );
    const imports = tenantImports(names, tenant).map(async ({ kind, subject, why }, i) => ({
      name: why,
      subject,
      type: kind,
      account: workers.getPublicKey(),
      token: await (activations[i] as Promise<string>),
    }));
    await account(tenant.name, key, { ...limits(withJetStream.includes(tenant.name)), imports: await Promise.all(imports) });
    await user(tenant.name, key);
  }
  const preload = [...accounts].map(([key, jwt]) => `  ${key}: ${jwt}`).join('\n');
  const server = await startNatsServer({
    config: `operator: ${await encodeOperator('O', operator, { system_account: system.getPublicKey() })}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
${preload}
}`,
  });
  const as = (name: string): ConnectionOptions => ({
    servers: server.url,
    authenticator: credsAuthenticator(credentials.get(name) as Uint8Array),
  });
  return {
    server,
    worker: { credentials: credentials.get('worker') as Uint8Array },
    operator: as('worker'),
    tenant: as,
    stop: () => server.stop(),
  };
};
