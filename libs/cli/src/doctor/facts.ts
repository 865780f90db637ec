import type { SharedWorkflow } from '@loopstack/client';
import { ServerVersion, desiredStreams, drift, Digest, resolveStreamOptions, type BindingInfo, type Queue } from '@loopstack/operations';
import { StorageWatch, type StreamInfo } from '@loopstack/jetstream';
import type { ClockSkew } from '@loopstack/shared/contract';
import type { Session } from '../session.js';
import { readBorder, type Border } from './border.js';

/** A user's rights, as the server tells them; absent lists allow everything. */
export interface Permissions {
  readonly publish?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

/** A stream of ours as it is, and in which fields it is not as it should be. */
export interface StreamFact {
  readonly name: string;
  readonly info: StreamInfo | undefined;
  readonly drift: readonly { readonly field: string; readonly actual: unknown; readonly desired: unknown }[];
}

/** What was found out, before anything is judged. */
export interface Facts {
  readonly server: {
    readonly name: string;
    readonly version: string;
    readonly cluster: string | undefined;
    readonly jetstream: boolean;
    readonly maxPayload: number;
    readonly roundTripMs: number;
  };
  /** Undefined: the server did not say. */
  readonly user: { readonly name: string; readonly account: string; readonly permissions: Permissions | undefined } | undefined;
  /** Undefined: the server did not tell its time. */
  readonly clockSkew: ClockSkew | undefined;
  /** What crosses the border of the account; undefined: monitoring does not tell. */
  readonly border?: Border | undefined;
  /** How the server writes through to the disk. */
  readonly sync: 'always' | { readonly everyMs: number } | undefined;
  /** The reason why JetStream does not answer this user. */
  readonly jetStreamError: string | undefined;
  readonly streams: readonly StreamFact[];
  readonly queues: readonly Queue[];
  /** What waits for workflows that have none. */
  readonly unserved: Pick<Digest, 'top' | 'names' | 'commands'>;
  /** Workflows that releases which run serve in more than one way. */
  readonly shared: readonly SharedWorkflow[];
  /** Undefined: this user may not list them. */
  readonly bindings: readonly BindingInfo[] | undefined;
  /** Why the stream of commands cannot be written; undefined: it can, or this user may not try. */
  readonly storageError: string | undefined;
  /** Dead letters, and when the last one was given up. */
  readonly dead: { readonly letters: number; readonly newest: string | undefined };
  readonly prefix: string;
  readonly nowMs: number;
}

const MONITOR_MS = 1500;

interface Varz {
  readonly server_id: string;
  readonly jetstream?: { readonly config?: { readonly sync_interval?: number; readonly sync_always?: boolean } };
}

/** @param monitor URL of the server's HTTP monitoring, where it is known */
export async function gatherFacts(session: Session, monitor: string | undefined): Promise<Facts> {
  const { nc, names } = session;
  const info = nc.info as NonNullable<typeof nc.info>;
  // The best of a few: one alone tells more of how busy this machine is.
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) roundTripMs = Math.min(roundTripMs, await nc.rtt());
  const [{ user, account }, sync] = await Promise.all([identify(session), readSync(session, monitor)]);
  const border = account === undefined ? undefined : await readBorder(session, account, monitorUrl(session, monitor), MONITOR_MS);
  const facts = {
    server: {
      name: info.server_name,
      version: info.version,
      cluster: info.cluster,
      jetstream: info.jetstream === true,
      maxPayload: info.max_payload,
      roundTripMs,
    },
    user,
    border,
    sync,
    prefix: names.prefix,
    clockSkew: session.clock.skew,
    nowMs: session.clock.nowMs(),
  };
  try {
    const { streams, queues, unserved, bindings } = await readTopology(session);
    // Without a catalogue, or the right to read it, there is nothing to tell of.
    const shared = await session.client.catalogue.shared().catch(() => []);
    const dead = streams.find(({ name }) => name === names.streams.dead)?.info?.state;
    return {
      ...facts,
      jetStreamError: undefined,
      streams,
      queues,
      unserved,
      shared,
      bindings,
      storageError: await storageError(session),
      dead: { letters: dead?.messages ?? 0, newest: dead && dead.messages > 0 ? dead.last_ts : undefined },
    };
  } catch (error) {
    return {
      ...facts,
      jetStreamError: (error as Error).message,
      streams: [],
      queues: [],
      unserved: new Digest(),
      shared: [],
      bindings: [],
      storageError: undefined,
      dead: { letters: 0, newest: undefined },
    };
  }
}

/** Every user may ask who he is, unless his permissions leave it out. */
async function identify({ nc }: Session): Promise<Pick<Facts, 'user'> & { readonly account?: string | undefined }> {
  try {
    const answer = (await nc.request('$SYS.REQ.USER.INFO', undefined, { timeout: 2000 })).json<{
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

/** On the usual port, unless another one is named. */
function monitorUrl({ nc }: Session, monitor: string | undefined): string {
  return monitor ?? `http://${nc.getServer().replace(/:\d+$/, '')}:8222`;
}

/** A client is not told; the monitoring port tells, where it is open on the usual port or was named. */
async function readSync(session: Session, monitor: string | undefined): Promise<Facts['sync']> {
  try {
    const response = await fetch(new URL('/varz', monitorUrl(session, monitor)), { signal: AbortSignal.timeout(MONITOR_MS) });
    const varz = (await response.json()) as Varz;
    const config = varz.jetstream?.config;
    // On the usual port another server may listen.
    if (!config || (monitor === undefined && varz.server_id !== session.nc.info?.server_id)) return undefined;
    return config.sync_always === true ? 'always' : { everyMs: (config.sync_interval ?? 0) / 1_000_000 };
  } catch {
    return undefined;
  }
}

/** Writes to the stream, and takes it back: nothing else tells. */
async function storageError({ api, publisher, names }: Session): Promise<string | undefined> {
  try {
    await new StorageWatch(api, publisher, names).probe();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function readTopology({
  deployment,
  bindings,
  names,
  nc,
}: Session): Promise<Pick<Facts, 'streams' | 'queues' | 'unserved' | 'bindings'>> {
  const version = new ServerVersion(nc.info?.version ?? '0.0.0');
  const desired = desiredStreams(resolveStreamOptions({ prefix: names.prefix }), version);
  const streams: StreamFact[] = [];
  for (const { config, required } of desired) {
    const found = await deployment.stream(config.name);
    const differing = found ? drift(found.config, config, required) : [];
    streams.push({
      name: config.name,
      info: found,
      drift: differing.map((field) => ({ field, actual: found?.config[field], desired: config[field] })),
    });
  }
  const queues = await deployment.queues();
  const hasRuns = streams.some(({ name, info }) => name === names.streams.runs && info !== undefined);
  const unserved = hasRuns ? await deployment.unserved(queues) : new Digest();
  return { streams, queues, unserved, bindings: await bindings.list().catch(() => undefined) };
}
