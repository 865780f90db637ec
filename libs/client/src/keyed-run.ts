import { HEADER, LoopstackError, encodeRunEvent, type RunEvent, type RunHandle } from '@loopstack/shared/contract';
import { ERR_CODE } from './acknowledgement.js';
import type { PreparedCommand } from './command.js';
import type { StoredRun } from './handle.js';
import type { ResolvedClientOptions } from './options.js';
import type { Publisher } from './publisher.js';
import type { RunEvents } from './run-events.js';

/**
 * Runs with an idempotency key. The key is the run's id, and the first event of the run says which stored command
 * holds it: the `queued` event, published by whoever comes first, client or worker, on the condition that the run has
 * no event yet. So the same key starts one run for as long as its events are kept, also after the stream's
 * deduplication window, and a worker executes the command that holds the key only.
 *
 * It costs two more round trips than a run without a key. A user who may neither read nor write events can use keys
 * all the same: the worker claims then, and the handle says `duplicate` only within the deduplication window.
 */
export class KeyedRuns {
  readonly #options: ResolvedClientOptions;
  readonly #publisher: Publisher;
  readonly #events: RunEvents;

  constructor(options: ResolvedClientOptions, publisher: Publisher, events: RunEvents) {
    this.#options = options;
    this.#publisher = publisher;
    this.#events = events;
  }

  /** @param store publishes the command; called unless the key is taken */
  async run<R>(command: PreparedCommand, run: StoredRun<R>, store: () => Promise<RunHandle<R>>): Promise<RunHandle<R>> {
    const { runs } = this.#options.names.streams;
    const first = await this.#events.last(command, command.runId).catch(() => undefined);
    if (first) return run.acknowledged(runs, first.event.sequence ?? 0, true);
    await store();
    const holder = await this.#claim(command, run.sequence);
    if (holder !== undefined && holder !== run.sequence) run.acknowledged(runs, holder, true);
    return run;
  }

  /** The sequence of the command that holds the key, 0 if it is a delayed one; undefined if that could not be learnt. */
  async #claim(command: PreparedCommand, sequence: number): Promise<number | undefined> {
    const event: RunEvent = { type: 'queued', at: new Date().toISOString(), attempt: 0, ...(sequence === 0 ? {} : { sequence }) };
    try {
      await this.#publisher.publish(
        this.#options.names.event(command, command.runId),
        encodeRunEvent(event),
        { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: '0' },
        { timeoutMs: command.timeoutMs },
      );
      return sequence;
    } catch (error) {
      // The command is stored and acknowledged, and its worker claims too: only the answer about the duplicate is lost.
      if (!(error instanceof LoopstackError) || error.details['errCode'] !== ERR_CODE.WRONG_LAST_SEQUENCE) return undefined;
    }
    const holder = await this.#events.last(command, command.runId, true).catch(() => undefined);
    return holder && (holder.event.sequence ?? 0);
  }
}
