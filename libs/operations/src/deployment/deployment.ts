import {
  LoopstackError,
  assertAddress,
  durationMs,
  numberBetween,
  type Duration,
  type Priority,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared/contract';
import { ERR_CODE, orUndefined, subjectPages, type ConsumerInfo, type JetStreamApi, type StreamInfo } from '@loopstack/jetstream';
import { Digest } from '../dead/unserved-digest.js';
import { shownAddress } from '../text.js';

/** A pause without an end of its own: the server wants a time, and counts what is left in 64 bits of nanoseconds. */
const LONGEST_PAUSE_MS = 100 * 365 * 86_400_000;
/** In a cluster the answer comes before the leader of the consumer knows. */
const APPLIED_TRIES = 40;
const APPLIED_AGAIN_MS = 50;

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
  /** ISO 8601; undefined: it is not paused. */
  readonly pausedUntil: string | undefined;
  /** ISO 8601; undefined: never. */
  readonly lastDelivery: string | undefined;
  readonly lastAck: string | undefined;
}

/** The streams and queues of Loopstack on a server: as they stand, and their pauses. */
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
        pausedUntil: info.paused === true ? (info.config['pause_until'] as string | undefined) : undefined,
        lastDelivery: info.delivered.last_active,
        lastAck: info.ack_floor.last_active,
      });
    }
    return queues.toSorted((a, b) => a.durable.localeCompare(b.durable));
  }

  /**
   * Stops the start of runs of a workflow, on all its queues, until `resume()`. Producers go on, and their commands wait. Runs that execute go on,
   * also commands that workers have already taken; the next attempt of a run waits.
   * @param options `for`: time after which the server resumes it by itself, at most 100 years; default: none
   * @returns the queues of the workflow, with what waits
   * @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN (no worker has ever served it), NAME_INVALID, OPTION_INVALID; JetStreamApiError
   */
  async pause(address: RunAddress, options: { readonly for?: Duration } = {}): Promise<readonly Queue[]> {
    const forMs = options.for === undefined ? LONGEST_PAUSE_MS : numberBetween('for', 1, LONGEST_PAUSE_MS, durationMs('for', options.for));
    return this.#setPause(address, new Date(this.#api.clock.nowMs() + forMs));
  }

  /**
   * Ends the pause of a workflow; one that is not paused is fine.
   * @returns the queues of the workflow, with what waits
   * @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN (no worker has ever served it), NAME_INVALID; JetStreamApiError
   */
  async resume(address: RunAddress): Promise<readonly Queue[]> {
    return this.#setPause(address, undefined);
  }

  async #setPause(address: RunAddress, end: Date | undefined): Promise<readonly Queue[]> {
    const queues = await this.#queuesOf(address);
    await Promise.all(queues.map(({ durable }) => this.#api.pauseConsumer(this.#names.streams.runs, durable, end)));
    for (let tries = 1; ; tries++) {
      const after = await this.#queuesOf(address);
      const wanted = end !== undefined && end.getTime() > this.#api.clock.nowMs();
      if (after.every(({ paused }) => paused === wanted) || tries === APPLIED_TRIES) return after;
      await new Promise((resolve) => setTimeout(resolve, APPLIED_AGAIN_MS));
    }
  }

  async #queuesOf(address: RunAddress): Promise<readonly Queue[]> {
    assertAddress(address);
    const { workspace, workflow } = address;
    const ofWorkspace = (await this.queues()).filter((queue) => queue.workspace === workspace);
    const queues = ofWorkspace.filter((queue) => queue.workflow === workflow);
    if (queues.length > 0) return queues;
    if (ofWorkspace.length > 0) throw new LoopstackError('WORKFLOW_UNKNOWN', { workspace, workflow });
    throw new LoopstackError('WORKSPACE_UNKNOWN', { workspace });
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
