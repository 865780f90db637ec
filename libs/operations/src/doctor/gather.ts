import type { SharedWorkflow } from '@loopstack/client';
import { StorageWatch, type JetStreamApi, type Publisher } from '@loopstack/jetstream';
import type { WireNames } from '@loopstack/shared/contract';
import { Digest } from '../dead/unserved-digest.js';
import { Bindings } from '../deployment/bindings.js';
import { Deployment } from '../deployment/deployment.js';
import { desiredStreams } from '../deployment/desired-streams.js';
import { drift } from '../deployment/drift.js';
import { resolveStreamOptions } from '../deployment/stream-options.js';
import type { Facts, Permissions, StreamFact } from './facts.js';
import { Monitoring } from './monitoring.js';

/** The deployment that the doctor looks at. */
export interface Examined {
  readonly api: JetStreamApi;
  readonly names: WireNames;
  /** Workflows that several releases serve, by the catalogue. */
  readonly shared: () => Promise<readonly SharedWorkflow[]>;
  /** Writes one message to the stream of commands and takes it back: nothing else tells whether it can be written. */
  readonly publisher: Publisher;
  readonly domain?: string | undefined;
  /** URL of the server's HTTP monitoring. Default: port 8222 of the server, where that answers. */
  readonly monitor?: string | undefined;
}

type OfServer = Pick<Facts, 'server' | 'user' | 'border' | 'sync' | 'prefix' | 'domain' | 'clockSkew' | 'nowMs'>;
type OfJetStream = Omit<Facts, keyof OfServer>;

const USER_INFO_MS = 2000;

/** Finds out how a deployment is. */
export async function gatherFacts(examined: Examined): Promise<Facts> {
  const facts = await serverFacts(examined);
  try {
    return { ...facts, ...(await jetStreamFacts(examined)) };
  } catch (error) {
    return { ...facts, ...NONE, jetStreamError: (error as Error).message };
  }
}

const NONE: OfJetStream = {
  jetStreamError: undefined,
  streams: [],
  queues: [],
  unserved: { top: [], names: 0, commands: 0 },
  shared: [],
  bindings: [],
  storageError: undefined,
  dead: { letters: 0, newest: undefined },
};

async function serverFacts({ api, names, domain, monitor }: Examined): Promise<OfServer> {
  const { nc, clock } = api;
  const info = nc.info as NonNullable<typeof nc.info>;
  // The best of a few: one alone tells more of how busy this machine is.
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) roundTripMs = Math.min(roundTripMs, await nc.rtt());
  const monitoring = new Monitoring(nc, monitor);
  const [{ user, account }, sync] = await Promise.all([identify(nc), monitoring.sync()]);
  return {
    server: {
      name: info.server_name,
      version: info.version,
      cluster: info.cluster,
      jetstream: info.jetstream === true,
      maxPayload: info.max_payload,
      roundTripMs,
    },
    user,
    border: account === undefined ? undefined : await monitoring.border(account),
    sync,
    prefix: names.prefix,
    domain,
    clockSkew: clock.skew,
    nowMs: clock.nowMs(),
  };
}

/** Every user may ask for its name and rights, unless its permissions leave that out. */
async function identify(nc: JetStreamApi['nc']): Promise<Pick<Facts, 'user'> & { readonly account?: string | undefined }> {
  try {
    const answer = (await nc.request('$SYS.REQ.USER.INFO', undefined, { timeout: USER_INFO_MS })).json<{
      data?: { user: string; account: string; account_name?: string; permissions?: Permissions };
    }>();
    const { data } = answer;
    return {
      user: data && { name: data.user, account: data.account_name ?? data.account, permissions: data.permissions },
      // By its key, where accounts have keys.
      account: data?.account,
    };
  } catch {
    return { user: undefined };
  }
}

async function jetStreamFacts(examined: Examined): Promise<OfJetStream> {
  const { api, names, shared } = examined;
  const deployment = new Deployment(api, names);
  const streams = await streamFacts(deployment, examined);
  const queues = await deployment.queues();
  const hasRuns = streams.some(({ name, info }) => name === names.streams.runs && info !== undefined);
  const dead = streams.find(({ name }) => name === names.streams.dead)?.info?.state;
  return {
    jetStreamError: undefined,
    streams,
    queues,
    unserved: hasRuns ? await deployment.unserved(queues) : new Digest(),
    bindings: await new Bindings(api, names).list().catch(() => undefined),
    // Without a catalogue, or the right to read it, there is nothing to compare.
    shared: await shared().catch(() => []),
    storageError: await storageError(examined),
    dead: { letters: dead?.messages ?? 0, newest: dead && dead.messages > 0 ? dead.last_ts : undefined },
  };
}

async function streamFacts(deployment: Deployment, { api, names }: Examined): Promise<readonly StreamFact[]> {
  const version = api.nc.info?.version ?? '0.0.0';
  const facts: StreamFact[] = [];
  for (const { config, required } of desiredStreams(resolveStreamOptions({ prefix: names.prefix }), version)) {
    const { name } = config;
    const info = await deployment.stream(name);
    const differing = info ? drift(info.config, config, required) : [];
    facts.push({ name, info, drift: differing.map((field) => ({ field, actual: info?.config[field], desired: config[field] })) });
  }
  return facts;
}

async function storageError({ api, publisher, names }: Examined): Promise<string | undefined> {
  try {
    await new StorageWatch(api, publisher, names).probe();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
