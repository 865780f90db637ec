import type { RunAddress, WireNames } from '@loopstack/shared';
import type { NatsConnection, Subscription } from 'nats';
import { outlastElection } from './election.js';
import type { JetStreamApi } from './jetstream-api.js';
import { subjectPages } from './stream-lists.js';

/**
 * Which runs are perhaps canceled. A cancel is recorded as the outcome of the run, and then told by a notice on a subject of its own,
 * kept in the events stream: a worker hears it live, and reads what it missed when it starts and after each reconnect. The happy
 * path asks a set, not the server. A notice alone says nothing: whoever may write it need not be allowed to write the outcome.
 */
export class CanceledRuns {
  /** Run ids by the address of their workflow. */
  readonly #byAddress = new Map<string, Set<string>>();
  #subscription: Subscription | undefined;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(
    private readonly api: JetStreamApi,
    private readonly names: WireNames,
    private readonly onCancel: (address: RunAddress, runId: string) => void,
  ) {}

  /** @param goOn false: it is stopped while it starts */
  async start(nc: NatsConnection, goOn: () => boolean): Promise<void> {
    this.#subscription = nc.subscribe(`${this.names.prefix}.cancel.*.*.*`, { callback: (error, msg) => error ?? this.#heard(msg.subject) });
    await outlastElection(() => this.load(), goOn);
  }

  /** Reads the notices that the stream holds; while it does, once more at most. */
  load(): Promise<void> {
    const next = (this.#next ??= this.#last
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#load();
      }));
    this.#last = next;
    return next;
  }

  async #load(): Promise<void> {
    for await (const page of subjectPages(this.api, this.names.streams.events, `${this.names.prefix}.cancel.>`)) {
      for (const [subject] of page) this.#heard(subject);
    }
  }

  /** The ids of a workflow; it grows as more are told of. */
  of({ workspace, workflow }: RunAddress): ReadonlySet<string> {
    return this.#runIds(`${workspace}.${workflow}`);
  }

  stop(): void {
    this.#subscription?.unsubscribe();
  }

  #heard(subject: string): void {
    const [, , workspace = '', workflow = '', runId = ''] = subject.split('.');
    // Also one that is known: a replay may have opened the run again.
    this.#runIds(`${workspace}.${workflow}`).add(runId);
    this.onCancel({ workspace, workflow }, runId);
  }

  #runIds(address: string): Set<string> {
    let runIds = this.#byAddress.get(address);
    if (!runIds) this.#byAddress.set(address, (runIds = new Set()));
    return runIds;
  }
}
