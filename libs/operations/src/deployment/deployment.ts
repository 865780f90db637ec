import type { Priority, RunAddress, WireNames } from '@loopstack/shared/contract';
import { ERR_CODE, orUndefined, subjectPages, type ConsumerInfo, type JetStreamApi, type StreamInfo } from '@loopstack/jetstream';
import { Digest } from '../dead/unserved-digest.js';
import { shownAddress } from '../text.js';

/** What waits for a workflow, and who works on it. */
export interface Queue extends RunAddress {
  /** Undefined for the one queue of a workflow without lanes. */
  readonly lane: Priority | undefined;
  readonly durable: string;
  /** Commands that no worker has. */
  readonly pending: number;
  /** Commands that workers have, or that wait for another attempt. */
  readonly active: number;
  readonly redelivered: number;
  /** Pulls of workers that wait for commands: 0 where commands wait and no worker runs. */
  readonly pulls: number;
  readonly paused: boolean;
  /** ISO 8601; undefined: never. */
  readonly lastDelivery: string | undefined;
  readonly lastAck: string | undefined;
  readonly info: ConsumerInfo;
}

/** What of Loopstack there is on a server: streams and queues as they stand. */
export class Deployment {
  readonly #api: JetStreamApi;
  readonly #names: WireNames;

  constructor(api: JetStreamApi, names: WireNames) {
    this.#api = api;
    this.#names = names;
  }

  /** Those of ours that exist, by name. */
  async streams(): Promise<ReadonlyMap<string, StreamInfo>> {
    const { streams, catalogue, replays } = this.#names;
    const wanted = [...Object.values(streams), `KV_${catalogue}`, `KV_${replays}`];
    const found = await Promise.all(wanted.map(async (name) => [name, await this.stream(name)] as const));
    return new Map(found.filter((entry): entry is readonly [string, StreamInfo] => entry[1] !== undefined));
  }

  /** @throws JetStreamApiError but for a stream that does not exist */
  stream(name: string): Promise<StreamInfo | undefined> {
    return this.#api.findStream(name);
  }

  /** The queues of all workflows that a worker has ever served, by address. */
  async queues(): Promise<readonly Queue[]> {
    const queues: Queue[] = [];
    for await (const info of this.#consumers(this.#names.streams.runs)) {
      const [workspace, workflow, lane] = info.name.split('~');
      if (workspace === undefined || workflow === undefined) continue;
      queues.push({
        workspace,
        workflow,
        lane: lane === 'high' || lane === 'low' ? lane : undefined,
        durable: info.name,
        pending: info.num_pending,
        active: info.num_ack_pending,
        redelivered: info.num_redelivered,
        pulls: info.num_waiting,
        paused: info.paused === true,
        lastDelivery: info.delivered.last_active,
        lastAck: info.ack_floor.last_active,
        info,
      });
    }
    return queues.toSorted((a, b) => a.durable.localeCompare(b.durable));
  }

  /** What waits for workflows that have no queue: a name that was mistyped, or a worker that is still to come. */
  async unserved(queues: readonly Queue[]): Promise<Digest> {
    const { streams, prefix } = this.#names;
    const served = new Set(queues.map((queue) => shownAddress(queue)));
    const waiting = new Digest();
    for (const head of ['run', 'lane']) {
      for await (const page of subjectPages(this.#api, streams.runs, `${prefix}.${head}.>`)) {
        for (const [subject, count] of page) {
          const address = this.#names.parseRun(subject);
          if (address && !served.has(shownAddress(address))) waiting.add(address, count);
        }
      }
    }
    return waiting;
  }

  async *#consumers(stream: string): AsyncGenerator<ConsumerInfo> {
    let seen = 0;
    for (;;) {
      const asked = this.#api.read<{ total: number; consumers?: readonly ConsumerInfo[] | null }>(`CONSUMER.LIST.${stream}`, {
        offset: seen,
      });
      const page = await orUndefined(asked, ERR_CODE.STREAM_NOT_FOUND);
      if (!page) return;
      const consumers = page.consumers ?? [];
      yield* consumers;
      seen += consumers.length;
      if (consumers.length === 0 || seen >= page.total) return;
    }
  }
}
