import { LoopstackClient, Publisher } from '@loopstack/client';
import {
  DeadLetters,
  Deployment,
  JetStreamApi,
  Replays,
  catalogueCheck,
  connectTo,
  schemaCheck,
  type NatsConnection,
} from '@loopstack/nats/operations';
import { decodeCatalogueEntry, wireNames, type RunAddress, type WireNames } from '@loopstack/shared/contract';
import { UsageError } from './exit.js';
import type { Settings } from './settings.js';

/** A connection to a deployment and what works on it, each made when it is first asked for. */
export class Session {
  readonly names: WireNames;
  readonly api: JetStreamApi;
  #client: LoopstackClient | undefined;
  #replays: Replays | undefined;
  #publisher: Publisher | undefined;

  private constructor(
    readonly nc: NatsConnection,
    readonly settings: Settings,
  ) {
    this.names = wireNames(settings.prefix);
    this.api = new JetStreamApi(nc, settings.domain);
  }

  /** @throws UsageError where there is no connection */
  static async open(settings: Settings): Promise<Session> {
    try {
      return new Session(await connectTo(settings.access), settings);
    } catch (error) {
      throw new UsageError(
        `no connection to ${settings.shown}: ${(error as Error).message}`,
        'Check --server, --context and the credentials; `loopstack dev` starts a server.',
      );
    }
  }

  get client(): LoopstackClient {
    return (this.#client ??= new LoopstackClient(this.nc, { ...this.#place, ...this.#signed, checkSchema: schemaCheck() }));
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

  get deadLetters(): DeadLetters {
    this.#publisher ??= new Publisher(this.nc);
    return new DeadLetters(this.api, this.#publisher, this.names, this.settings.sign);
  }

  /** What workers serve: by their catalogue, else by the queues that they have left. */
  async workflows(): Promise<readonly RunAddress[]> {
    const stream = `KV_${this.names.catalogue}`;
    const found: RunAddress[] = [];
    if ((await this.deployment.stream(stream)) !== undefined) {
      for await (const { data } of this.api.scan(stream, `$KV.${this.names.catalogue}.>`)) {
        const entry = decodeCatalogueEntry(data);
        if (entry) found.push(entry);
      }
    }
    return found.length > 0 ? found : this.deployment.queues();
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
