import {
  LoopstackError,
  catalogueKey,
  decodeCatalogueEntry,
  parseStrictJson,
  summarize,
  encodeJson,
  monotonicMs,
  type CatalogueEntry,
  type FieldError,
  type JsonSchema,
  type RunAddress,
} from '@loopstack/shared/contract';
import type { ResolvedClientOptions, SchemaCheck } from '../options.js';
import { PacedRead, type StreamReader } from '@loopstack/jetstream';
import { Releases, type SharedWorkflow } from './releases.js';

/** How long an entry, or the absence of a catalogue, is believed. */
const FRESH_MS = 60_000;
/** Between looks at what other releases take, for a workflow whose payloads are refused. */
const LOOK_EVERY_MS = 250;

/**
 * What workers serve, as they publish it into a KV bucket: names and payload schemas where no class is at hand. Without
 * the bucket (no worker has ever started, or this user may not read it) nothing is refused.
 */
export class Catalogue {
  readonly #stream: string;
  readonly #head: string;
  readonly #entries = new Map<string, { readonly entry: CatalogueEntry; readonly untilMs: number }>();
  /** Questions on their way: a burst of runs asks once for each workflow. */
  readonly #asked = new Map<string, Promise<CatalogueEntry | undefined>>();
  readonly #looks = new Map<string, PacedRead<readonly (JsonSchema | undefined)[]>>();
  readonly #releases: Releases;
  /** Workflows whose check has failed, and was told of. */
  readonly #failed = new Set<string>();
  #absentUntilMs = 0;
  /** Until when releases are not asked for. */
  #closedUntilMs = 0;
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;

  constructor(options: ResolvedClientOptions, reader: StreamReader) {
    this.#options = options;
    this.#reader = reader;

    const { catalogue } = options.names;
    this.#stream = `KV_${catalogue}`;
    this.#head = `$KV.${catalogue}.`;
    this.#releases = new Releases((position) => this.#reader.get(this.#stream, position), options.names);
  }

  /** All workflows, in the order of their last change. @throws LoopstackError STREAM_UNAVAILABLE where there is no catalogue */
  async list(): Promise<readonly CatalogueEntry[]> {
    const entries: CatalogueEntry[] = [];
    for (let sequence = 1; ;) {
      const message = await this.#reader.get(this.#stream, { next: `${this.#head}*.*`, sequence });
      if (!message) return entries;
      sequence = message.sequence + 1;
      const entry = decodeCatalogueEntry(message.data);
      if (entry) entries.push(entry);
    }
  }

  /** Whether a run may go without asking: it was found lately, or there is no catalogue. */
  knows(address: RunAddress, nowMs = monotonicMs()): boolean {
    if (nowMs < this.#absentUntilMs) return true;
    const known = this.#entries.get(catalogueKey(address));
    return known !== undefined && nowMs < known.untilMs;
  }

  /**
   * Refuses what no worker serves, and a payload that the schemas of all releases that run refuse.
   * @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN, PAYLOAD_INVALID, PAYLOAD_UNSERIALIZABLE
   */
  async check(address: RunAddress, payload: unknown): Promise<void> {
    const entry = await this.#find(address);
    const { checkSchema } = this.#options;
    if (entry?.payload === undefined || !checkSchema) return;
    // What a worker will read: the payload as JSON, not as the object that it is here.
    const read = parseStrictJson(encodeJson(payload ?? {}, 'PAYLOAD_UNSERIALIZABLE', {}));
    const refuse = (schema: JsonSchema | undefined): readonly FieldError[] =>
      schema === undefined ? [] : this.#checked(checkSchema, schema, read, address);
    const errors = refuse(entry.payload);
    if (errors.length === 0) return;
    // While a deploy is under way, or where one has ended lately, others accept it.
    const schemas = await this.#others(address);
    const refusals = schemas.map(refuse);
    if (refusals.some(({ length }) => length === 0)) return;
    const told = refusals[0] ?? errors;
    throw new LoopstackError('PAYLOAD_INVALID', { workflow: address.workflow, summary: summarize(told) }, { errors: told });
  }

  /** None where this user may not read them. The client then waits before it asks again, since a server does not answer a refused request. */
  async #others(address: RunAddress): Promise<readonly (JsonSchema | undefined)[]> {
    if (monotonicMs() < this.#closedUntilMs) return [];
    return this.#look(address).catch(() => {
      this.#closedUntilMs = monotonicMs() + FRESH_MS;
      return [];
    });
  }

  /** What releases that run accept, as it stands now; undefined for any payload. The one that was started last comes first. */
  #look(address: RunAddress): Promise<readonly (JsonSchema | undefined)[]> {
    const key = catalogueKey(address);
    let look = this.#looks.get(key);
    if (!look) {
      const read = async (): Promise<readonly (JsonSchema | undefined)[]> => {
        const [entry, contracts] = await Promise.all([this.#ask(address, key), this.#releases.contracts(address)]);
        return [...(entry ? [entry.payload] : []), ...[...contracts.values()].map(({ payload }) => payload)];
      };
      this.#looks.set(key, (look = new PacedRead(read, LOOK_EVERY_MS)));
    }
    return look.ask();
  }

  /** Workflows that running releases serve in more than one way. @throws LoopstackError STREAM_UNAVAILABLE where there is no catalogue */
  shared(): Promise<readonly SharedWorkflow[]> {
    return this.#releases.shared();
  }

  /** A check that fails says nothing of the payload: its worker will. */
  #checked(checkSchema: SchemaCheck, schema: JsonSchema, payload: unknown, { workspace, workflow }: RunAddress): readonly FieldError[] {
    const address = { workspace, workflow };
    try {
      return checkSchema(schema, payload, address);
    } catch (error) {
      if (error instanceof LoopstackError) throw error;
      const key = catalogueKey(address);
      if (!this.#failed.has(key)) {
        this.#failed.add(key);
        const reason = error instanceof Error ? error.message : typeof error;
        process.emitWarning(`The payload of ${key} was not checked by its schema: checkSchema failed: ${reason}`, 'LoopstackWarning');
      }
      return [];
    }
  }

  #find(address: RunAddress): CatalogueEntry | undefined | Promise<CatalogueEntry | undefined> {
    const key = catalogueKey(address);
    if (this.knows(address)) return this.#entries.get(key)?.entry;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#ask(address, key).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asked);
    }
    return asked;
  }

  async #ask(address: RunAddress, key: string): Promise<CatalogueEntry | undefined> {
    try {
      const message = await this.#reader.get(this.#stream, { last: this.#head + key });
      const entry = message && (ownEntry(message.data, key) ?? unreadable(message.data, address));
      if (entry) {
        this.#entries.set(key, { entry, untilMs: monotonicMs() + FRESH_MS });
        return entry;
      }
      // A tenant may look up its own workflows only, one by one.
      const neighbor = await this.#reader.get(this.#stream, { next: `${this.#head}${address.workspace}.*`, sequence: 1 }).catch(() => true);
      throw new LoopstackError(neighbor ? 'WORKFLOW_UNKNOWN' : 'WORKSPACE_UNKNOWN', { ...address });
    } catch (error) {
      if (!(error instanceof LoopstackError) || error.code !== 'STREAM_UNAVAILABLE') throw error;
      this.#absentUntilMs = monotonicMs() + FRESH_MS;
      return undefined;
    }
  }
}

function ownEntry(data: Uint8Array, key: string): CatalogueEntry | undefined {
  const entry = decodeCatalogueEntry(data);
  return entry && catalogueKey(entry) === key ? entry : undefined;
}

/**
 * What is no entry of the workflow, and not the mark of a deleted one, which has no data: the workflow is there, and what its payload
 * must be is not known. A check of schemas tells of it.
 */
function unreadable(data: Uint8Array, { workspace, workflow }: RunAddress): CatalogueEntry | undefined {
  if (data.length === 0) return undefined;
  return { workspace, workflow, payload: 'unreadable' as unknown as JsonSchema, attempts: 1, timeoutMs: 0, priorities: false };
}
