import type { RunAddress, WireNames } from '@loopstack/shared';
import type { NatsConnection, Subscription } from 'nats';
import type { JetStreamApi } from './jetstream-api.js';

/**
 * Which runs are canceled. A cancel is a notice on a subject of its own, kept in the events stream: a worker hears it
 * live, and reads what it missed when it starts and after each reconnect. The happy path asks a set, not the server.
 */
export class CanceledRuns {
  readonly #runIds = new Set<string>();
  #subscription: Subscription | undefined;

  constructor(
    private readonly api: JetStreamApi,
    private readonly names: WireNames,
    private readonly onCancel: (address: RunAddress, runId: string) => void,
  ) {}

  async start(nc: NatsConnection): Promise<void> {
    this.#subscription = nc.subscribe(`${this.names.prefix}.cancel.*.*.*`, { callback: (error, msg) => error ?? this.#heard(msg.subject) });
    await this.load();
  }

  /** Reads the notices that the stream holds. */
  async load(): Promise<void> {
    const subjects = await this.api.subjects(this.names.streams.events, `${this.names.prefix}.cancel.>`);
    for (const subject of subjects.keys()) this.#heard(subject);
  }

  has(runId: string): boolean {
    return this.#runIds.size > 0 && this.#runIds.has(runId);
  }

  stop(): void {
    this.#subscription?.unsubscribe();
  }

  #heard(subject: string): void {
    const [, , workspace = '', workflow = '', runId = ''] = subject.split('.');
    if (this.#runIds.has(runId)) return;
    this.#runIds.add(runId);
    this.onCancel({ workspace, workflow }, runId);
  }
}
