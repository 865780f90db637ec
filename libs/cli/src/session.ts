import { LoopstackClient } from '@loopstack/client';
import {
  Publisher,
  ServerClock,
  JetStreamApi,
  JetStreamApiError,
  connectTo,
  requireSupportedServer,
  type NatsConnectionLike,
} from '@loopstack/jetstream';
import { Bindings, DeadLetters, Deployment, Replays, catalogueCheck, schemaCheck } from '@loopstack/operations';
import { decodeCatalogueEntry, wireNames, type LoopstackError, type RunAddress, type WireNames } from '@loopstack/shared/contract';
import { UsageError } from './exit.js';
import { tellTimeBy } from './format.js';
import type { Settings } from './settings.js';
import { checkKnown, shown } from './target.js';

/** A workflow that runs here; `catalogued`: its worker has published what it takes. */
export interface KnownWorkflow extends RunAddress {
  readonly catalogued: boolean;
}

const addressOf = ({ workspace, workflow }: RunAddress): RunAddress => ({ workspace, workflow });

/** Beside what a command prints. */
export const warn = (text: string): void => void process.stderr.write(`warning: ${text}\n`);

/** @throws UsageError where the account of this user has no JetStream, such as a tenant's; else the error itself */
function hidden(error: unknown): never {
  if (!(error instanceof JetStreamApiError && error.withoutJetStream)) throw error;
  throw new UsageError(
    `this account cannot read the catalogue of the workers: ${error.message}`,
    "A tenant starts runs with `run --no-check`. Other commands need a user of the workers' account.",
  );
}

/** A connection to a deployment and what works on it, each made when it is first asked for. */
export class Session {
  readonly names: WireNames;
  readonly api: JetStreamApi;
  #client: LoopstackClient | undefined;
  #replays: Replays | undefined;
  #publisher: Publisher | undefined;

  private constructor(
    readonly nc: NatsConnectionLike,
    readonly settings: Settings,
  ) {
    this.names = wireNames(settings.prefix);
    this.api = new JetStreamApi(nc, settings.domain);
  }

  /**
   * @param anyServer also one that is too old to be worked with
   * @throws UsageError where there is no connection; LoopstackError SERVER_TOO_OLD
   */
  static async open(settings: Settings, anyServer = false): Promise<Session> {
    const nc = await connectTo(settings.access).catch((error: LoopstackError) => {
      throw new UsageError(
        `no connection to ${settings.shown}: ${String(error.details['reason'])}`,
        'Check --server, --context and the credentials; `loopstack dev` starts a server.',
      );
    });
    try {
      if (!anyServer) requireSupportedServer(nc);
    } catch (error) {
      await nc.close();
      throw error;
    }
    const session = new Session(nc, settings);
    await session.clock.settled();
    tellTimeBy(() => session.clock.nowMs());
    return session;
  }

  /** The server's clock. */
  get clock(): ServerClock {
    return ServerClock.of(this.nc, { api: this.api.prefix, stream: this.names.streams.runs });
  }

  get client(): LoopstackClient {
    return (this.#client ??= new LoopstackClient(this.nc, { ...this.#place, ...this.#signed, checkSchema: schemaCheck({ warn }) }));
  }

  /** @param checks whether commands are held against the catalogue before they are published */
  replays(checks = true): Replays {
    const { by } = this.settings;
    return (this.#replays ??= new Replays(this.nc, {
      ...this.#place,
      ...this.#signed,
      by,
      ...(checks ? { payloads: catalogueCheck(this.client) } : {}),
    }));
  }

  get publisher(): Publisher {
    const { domain, sign } = this.settings;
    return (this.#publisher ??= new Publisher(this.nc, { domain, sign }));
  }

  get deadLetters(): DeadLetters {
    return new DeadLetters(this.api, this.publisher, this.names, this.settings.sign);
  }

  /** What workers serve, or have served: by their catalogue, and by the queues that they have left. */
  async workflows(): Promise<readonly KnownWorkflow[]> {
    const stream = `KV_${this.names.catalogue}`;
    const known = new Map<string, KnownWorkflow>();
    for (const queue of await this.deployment.queues().catch(hidden)) known.set(shown(queue), { ...addressOf(queue), catalogued: false });
    if ((await this.deployment.stream(stream)) !== undefined) {
      for await (const { data } of this.api.scan(stream, `$KV.${this.names.catalogue}.*.*`)) {
        const entry = decodeCatalogueEntry(data);
        if (entry) known.set(shown(entry), { ...addressOf(entry), catalogued: true });
      }
    }
    return [...known.values()].toSorted((x, y) => shown(x).localeCompare(shown(y)));
  }

  /**
   * Refuses what no worker serves, and a payload that its worker would refuse, before anything is published.
   * @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN, PAYLOAD_INVALID
   */
  async check(address: RunAddress, payload: unknown, known: readonly KnownWorkflow[]): Promise<void> {
    checkKnown(address, known);
    // A worker that is starting has its queue before its entry.
    if (known.some((one) => one.catalogued && shown(one) === shown(address))) await this.client.check(address, payload);
  }

  get bindings(): Bindings {
    return new Bindings(this.api, this.names);
  }

  get deployment(): Deployment {
    return new Deployment(this.api, this.names);
  }

  async close(): Promise<void> {
    await Promise.all([this.#client?.close(), this.#replays?.close(), this.#publisher?.close()]);
    await this.nc.close();
  }

  get #signed(): { sign?: NonNullable<Settings['sign']> } {
    return this.settings.sign === undefined ? {} : { sign: this.settings.sign };
  }

  get #place(): { prefix?: string; domain?: string } {
    const { prefix, domain } = this.settings;
    return { ...(prefix === undefined ? {} : { prefix }), ...(domain === undefined ? {} : { domain }) };
  }
}
