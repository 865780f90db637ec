import { Releases } from '@loopstack/client';
import { KeyValue, subjectsOf, type JetStreamApi } from '@loopstack/jetstream';
import { catalogueEntry, exchangedNames, type WorkflowRunner } from '@loopstack/core';
import {
  catalogueKey,
  contractKey,
  checkableSchema,
  decodeCatalogueEntry,
  noticeKey,
  monotonicMs,
  uncheckedText,
  type ReleaseNotice,
  type WireNames,
} from '@loopstack/shared';
import { Logger } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { releasesOf } from './running-releases.js';

/** Longest part of a boot that waits for the catalogue; what is not written by then is written later. */
const BOOT_MS = 2000;
/** A contract is written anew after this, so that one that no worker has written for a day is in use by none. */
const REWRITE_MS = 12 * 3_600_000;
const OUTDATED_MS = 24 * 3_600_000;
/** Silences after which a notice is taken away. */
const SILENCES = 10;
/** A worker says that it runs so many times within the silence that it may have. */
const BEATS = 4;
const TIDY_MS = 3_600_000;

const encoder = new TextEncoder();

interface Entry {
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface CatalogueBucket {
  readonly replicas: number;
  readonly provision: boolean;
  readonly silenceMs: number;
}

/**
 * Says what this worker serves in the catalogue bucket, so that producers without the classes can check names and payloads,
 * and workers of other releases know what this one accepts: as long as it runs.
 */
export class CatalogueWriter {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;
  readonly #bucket: CatalogueBucket;
  readonly #logger = new Logger(CatalogueWriter.name);
  readonly #kv: KeyValue;
  #entries: readonly Entry[] = [];
  #contracts: readonly Entry[] = [];
  #notices: readonly Entry[] = [];
  #written = false;
  #failing = false;
  #timer: NodeJS.Timeout | undefined;
  #tidiedMs = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> | undefined;
  #stopped = false;

  constructor(api: JetStreamApi, names: WireNames, bucket: CatalogueBucket) {
    this.#api = api;
    this.#names = names;
    this.#bucket = bucket;
    this.#kv = new KeyValue(api, names.catalogue);
  }

  /** Resolves when it is written, or soon. A worker works without it, so a failure is a warning. Never rejects. */
  async start(runners: readonly WorkflowRunner[]): Promise<void> {
    if (runners.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, BOOT_MS)));
    const written = this.#begin(runners);
    await Promise.race([written, enough]);
    clearTimeout(timer);
    if (this.#stopped) return;
    // Workers that were started together do not write together.
    const everyMs = (this.#bucket.silenceMs / BEATS) * (1 - 0.2 * Math.random());
    this.#timer = setInterval(() => void this.#beat(), everyMs).unref();
  }

  /** Says no more. What was said stands for the workers of this release that go on. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #begin(runners: readonly WorkflowRunner[]): Promise<void> {
    try {
      const entry = (key: string, value: object): Entry => ({ key, bytes: encoder.encode(JSON.stringify(value)) });
      this.#entries = runners.map((runner) => entry(catalogueKey(runner.entry), catalogueEntry(runner.entry)));
      this.#tellOfUnchecked(runners);
      this.#contracts = runners.map(({ entry: address, contract: { id, ...contract } }) => entry(contractKey(address, id), contract));
      const workspaces = [...new Set(runners.map((runner) => runner.entry.workspace))];
      this.#notices = workspaces.map((workspace) => {
        const notice = this.#notice(runners.filter((runner) => runner.entry.workspace === workspace));
        return entry(noticeKey(workspace, digest(notice)), notice);
      });
    } catch (error) {
      this.#logger.warn(`The catalogue of workflows cannot be made: ${(error as Error).message}`);
      return;
    }
    await this.#beat();
  }

  /** What producers cannot check by the schemas of this worker. */
  #tellOfUnchecked(runners: readonly WorkflowRunner[]): void {
    for (const { entry } of runners) {
      const { payload } = catalogueEntry(entry);
      const { unchecked } = payload === undefined ? { unchecked: [] } : checkableSchema(payload);
      if (unchecked.length > 0) this.#logger.warn(uncheckedText(unchecked, entry));
    }
  }

  #notice(runners: readonly WorkflowRunner[]): ReleaseNotice {
    const release = runners[0]?.release;
    const contracts = Object.fromEntries(runners.map(({ entry, contract }) => [entry.workflow, contract.id]));
    return { ...(release === undefined ? {} : { release }), silenceMs: this.#bucket.silenceMs, contracts };
  }

  /** One at a time. Never rejects. */
  #beat(): Promise<void> {
    return (this.#busy ??= this.#say().finally(() => (this.#busy = undefined)));
  }

  async #say(): Promise<void> {
    try {
      if (!this.#written) {
        const { replicas, provision } = this.#bucket;
        if (provision) await this.#kv.ensure({ replicas, direct: true });
        const before = await Promise.all(this.#entries.map((entry) => this.#writeChanged(entry)));
        this.#tellOfExchanges(before);
        await Promise.all(this.#contracts.map((entry) => this.#writeChanged(entry, REWRITE_MS)));
      }
      for (const { key, bytes } of this.#notices) await this.#kv.put(key, bytes);
      this.#written = true;
      this.#failing = false;
      if (this.#bucket.provision && monotonicMs() - this.#tidiedMs > TIDY_MS) {
        this.#tidiedMs = monotonicMs();
        await this.#tidy();
      }
    } catch (error) {
      // Whatever happened to the bucket: all of it is written again.
      this.#written = false;
      if (!this.#failing && !this.#api.nc.isClosed())
        this.#logger.warn(`The catalogue of workflows was not published: ${(error as Error).message}`);
      this.#failing = true;
    }
  }

  /** @returns what was there before */
  async #writeChanged({ key, bytes }: Entry, afterMs = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    const known = await this.#kv.get(key);
    if (known && Buffer.compare(known.data, bytes) === 0 && this.#api.clock.nowMs() - known.timeMs < afterMs) return known.data;
    await this.#kv.put(key, bytes);
    return known?.data;
  }

  /** @param before the entries of the release before, in the order of `#entries` */
  #tellOfExchanges(before: readonly (Uint8Array | undefined)[]): void {
    const written = this.#entries.map(({ bytes }) => bytes);
    for (const workspace of this.#workspaces) {
      for (const { workflow, formerly } of exchangedNames(schemasOf(workspace, before), schemasOf(workspace, written))) {
        this.#logger.warn(
          `${workspace}.${workflow} has the payload that ${workspace}.${formerly} had before, which has changed, too: were class names exchanged by a minifier? Name the workflows: @Workflow({ name })`,
        );
      }
    }
  }

  /** Takes away what releases have left behind that do not run any more. */
  async #tidy(): Promise<void> {
    const releases: Releases = releasesOf(this.#api, this.#names);
    for (const workspace of this.#workspaces) {
      const notices = await releases.notices(workspace);
      const nowMs = Math.max(...notices.map(({ timeMs }) => timeMs));
      const outdated = notices.filter(({ timeMs, silenceMs }) => nowMs - timeMs > SILENCES * silenceMs);
      const kept = notices.filter((notice) => !outdated.includes(notice));
      const used = new Set(
        kept.flatMap(({ contracts }) => Object.entries(contracts).map(([workflow, id]) => contractKey({ workspace, workflow }, id))),
      );
      for (const { key } of outdated) await this.#kv.remove(key);
      const stored = await subjectsOf(this.#api, this.#kv.stream, this.#kv.subject(`${workspace}.*.*`));
      for (const subject of stored.keys()) {
        const key = subject.slice(this.#kv.subject('').length);
        if (used.has(key)) continue;
        const contract = await this.#kv.get(key);
        // A release that starts writes its contracts before its notice.
        if (contract && nowMs - contract.timeMs > OUTDATED_MS) await this.#kv.remove(key);
      }
    }
  }

  get #workspaces(): ReadonlySet<string> {
    return new Set(this.#notices.map(({ key }) => key.split('.')[1] as string));
  }
}

/** Payload schemas of the workflows of a workspace, as text. */
function schemasOf(workspace: string, entries: readonly (Uint8Array | undefined)[]): ReadonlyMap<string, string> {
  const schemas = new Map<string, string>();
  for (const bytes of entries) {
    const entry = bytes && decodeCatalogueEntry(bytes);
    if (entry?.workspace === workspace && entry.payload) schemas.set(entry.workflow, JSON.stringify(entry.payload));
  }
  return schemas;
}

/** Workers of one release say the same, under one key. */
function digest(notice: ReleaseNotice): string {
  return createHash('sha256').update(JSON.stringify(notice)).digest('base64url').slice(0, 16);
}
