import { catalogueEntry, type RegisteredWorkflow } from '@loopstack/core';
import { catalogueKey, type WireNames } from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import type { NatsConnection } from 'nats';
import type { JetStreamApi } from './jetstream-api.js';

const encoder = new TextEncoder();

/** Publishes what this worker serves into the catalogue bucket, so that producers without the classes can check names and payloads. */
export class CatalogueWriter {
  readonly #logger = new Logger(CatalogueWriter.name);

  constructor(
    private readonly nc: NatsConnection,
    private readonly api: JetStreamApi,
    private readonly names: WireNames,
    private readonly bucket: { readonly replicas: number; readonly provision: boolean; readonly domain: string | undefined },
  ) {}

  /** Writes what has changed. A worker works without it, so a failure is a warning. Never rejects. */
  async publish(workflows: readonly RegisteredWorkflow[]): Promise<void> {
    try {
      const { replicas, provision, domain } = this.bucket;
      const js = this.nc.jetstream(domain === undefined ? {} : { domain });
      const kv = await js.views.kv(this.names.catalogue, provision ? { replicas, allow_direct: true } : { bindOnly: true });
      for (const workflow of workflows) {
        const key = catalogueKey(workflow);
        const bytes = encoder.encode(JSON.stringify(catalogueEntry(workflow)));
        const known = await this.api.lastOf(`KV_${this.names.catalogue}`, `$KV.${this.names.catalogue}.${key}`);
        if (known && Buffer.compare(known.data, bytes) === 0) continue;
        await kv.put(key, bytes);
      }
    } catch (error) {
      this.#logger.warn(`The catalogue of workflows was not published: ${(error as Error).message}`);
    }
  }
}
