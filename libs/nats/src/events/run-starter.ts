import { DONE, notStarted, runOfEvent, type EventOutcome, type EventUse, type RunStarter, type StoredEvent } from '@loopstack/core';
import { LoopstackError, type CommandSigner, type Headers, type RunAddress, type WireNames } from '@loopstack/shared';
import type { JetStreamApi, Publisher } from '@loopstack/jetstream';

/**
 * Publishes the run commands of events. Message id and run id are derived from stream, sequence and workflow: within the
 * runs stream's deduplication window a second command is dropped by the server, later on the worker that gets it finds
 * the run claimed (docs/adr/0004).
 */
export class CommandStarter implements RunStarter {
  readonly #publisher: Publisher;
  readonly #names: WireNames;
  readonly #sign: CommandSigner | undefined;
  readonly #api: JetStreamApi;
  readonly #maxCauseDepth: number;
  constructor(publisher: Publisher, names: WireNames, sign: CommandSigner | undefined, api: JetStreamApi, maxCauseDepth: number) {
    this.#publisher = publisher;
    this.#names = names;
    this.#sign = sign;
    this.#api = api;
    this.#maxCauseDepth = maxCauseDepth;
  }

  async start(target: RunAddress, event: StoredEvent, use: EventUse, headers: Headers): Promise<EventOutcome> {
    if (use.kind === 'skip') return DONE;
    if (use.kind === 'invalid') return use;
    try {
      const subject = this.#names.run(target);
      const { command: data } = use;
      const { headers: all } = runOfEvent(target, event, headers, this.#maxCauseDepth);
      await this.#publisher.publish(subject, data, {
        ...all,
        ...this.#sign?.({ subject, headers: all, data, nowMs: this.#api.clock.nowMs() }),
      });
      return DONE;
    } catch (error) {
      if (!(error instanceof LoopstackError)) throw error;
      return notStarted(error);
    }
  }
}
