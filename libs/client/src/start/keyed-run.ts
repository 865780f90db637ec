import {
  HEADER,
  LoopstackError,
  contentOf,
  decodeRunCommand,
  encodeRunEvent,
  keyConflict,
  type RunEvent,
  type RunHandle,
  type PreparedCommand,
} from '@loopstack/shared/contract';
import { ERR_CODE, type Publisher } from '@loopstack/jetstream';
import type { StoredRun } from './handle.js';
import type { ResolvedClientOptions } from '../options.js';
import type { RunEvents } from '../runs/run-events.js';
import type { StoredCommands } from '../runs/stored-command.js';

/** The command that holds a key, and the event that says so. */
interface Holder {
  readonly sequence: number;
  readonly event: RunEvent;
}

/** How long the first claim waits for a stream that takes it: in the account of a tenant no stream does. */
const FIRST_CLAIM_MS = 1000;
const RECLAIM_AFTER_SILENCE_MS = 60_000;

/**
 * Runs with an idempotency key. The key is the run's id, and the first event of the run says which stored command
 * holds it: the `queued` event, published by the first to come, client or worker, on the condition that the run has
 * no event yet. So the same key starts one run for as long as its events are kept, also after the stream's
 * deduplication window, and a worker executes the command that holds the key only.
 *
 * The key stands for a payload and a user: with others it is refused (KEY_CONFLICT). The claim tells them by a digest; where none does, the stored
 * command is looked at, and where that is gone, too, the key counts as the same.
 *
 * It costs two more round trips than a run without a key. A user who may neither read nor write events can use keys
 * all the same: the worker claims then, and the handle says `duplicate` only within the deduplication window.
 */
export class KeyedRuns {
  readonly #options: ResolvedClientOptions;
  readonly #publisher: Publisher;
  readonly #events: RunEvents;
  readonly #commands: StoredCommands;
  /** Whether claims of this user get an answer; undefined: none was made. */
  #claims: boolean | undefined;
  #claimAgainAt = 0;

  constructor(options: ResolvedClientOptions, publisher: Publisher, events: RunEvents, commands: StoredCommands) {
    this.#options = options;
    this.#publisher = publisher;
    this.#events = events;
    this.#commands = commands;
  }

  /**
   * @param store publishes the command; called unless the key is taken
   * @throws LoopstackError KEY_CONFLICT
   */
  async run<R>(command: PreparedCommand, run: StoredRun<R>, store: () => Promise<RunHandle<R>>): Promise<RunHandle<R>> {
    const { runs } = this.#options.names.streams;
    const content = contentOf(decodeRunCommand(command.data));
    const end = await this.#events.end(command, command.runId).catch(() => undefined);
    const taken = end?.event;
    if (taken) {
      await this.#assertSame(command, content, taken);
      return run.acknowledged(runs, taken.sequence ?? 0, true);
    }
    await store();
    const holder = await this.#claim(command, run.sequence, content, end?.sequence ?? 0);
    if (holder && holder.sequence !== run.sequence) {
      await this.#assertSame(command, content, holder.event);
      run.acknowledged(runs, holder.sequence, true);
    }
    return run;
  }

  /** @throws LoopstackError KEY_CONFLICT */
  async #assertSame(command: PreparedCommand, content: string, last: RunEvent): Promise<void> {
    const conflict = keyConflict(command.runId, await this.#standing(command, last), content);
    if (conflict) throw conflict;
  }

  /** What the key stands for: its first event knows best, since a replay may have changed what came later. */
  async #standing(command: PreparedCommand, last: RunEvent): Promise<string | undefined> {
    const first =
      last.type === 'queued' && last.content !== undefined
        ? undefined
        : await this.#events.first(command, command.runId).catch(() => undefined);
    const content = first?.content ?? last.content;
    const sequence = first?.sequence ?? last.sequence;
    if (content !== undefined || sequence === undefined) return content;
    return this.#commands.contentAt(sequence, command, command.runId).catch(() => undefined);
  }

  /** Who holds the key; undefined if that could not be learned. The sequence of a delayed command is 0. */
  async #claim(command: PreparedCommand, sequence: number, content: string, expected: number): Promise<Holder | undefined> {
    if (this.#claims === false && performance.now() < this.#claimAgainAt) return undefined;
    const timeoutMs = this.#claims === true ? command.timeoutMs : Math.min(command.timeoutMs, FIRST_CLAIM_MS);
    const event: RunEvent = {
      type: 'queued',
      at: new Date(this.#options.clock.nowMs()).toISOString(),
      attempt: 0,
      ...(sequence === 0 ? {} : { sequence }),
      content,
    };
    try {
      await this.#publisher.publish(
        this.#options.names.event(command, command.runId),
        encodeRunEvent(event),
        { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: String(expected) },
        { timeoutMs },
      );
      this.#claims = true;
      return { sequence, event };
    } catch (error) {
      if (error instanceof LoopstackError && error.code === 'PUBLISH_UNAVAILABLE') {
        this.#claims = false;
        this.#claimAgainAt = performance.now() + RECLAIM_AFTER_SILENCE_MS;
      }
      // The command is stored and acknowledged, and its worker claims too: only the answer about the duplicate is lost.
      if (!(error instanceof LoopstackError) || error.details['errCode'] !== ERR_CODE.WRONG_LAST_SEQUENCE) return undefined;
    }
    const end = await this.#events.end(command, command.runId, true).catch(() => undefined);
    if (!end) return undefined;
    const { event: first } = end;
    // The message in between is not an event, so the key is free.
    return first ? { sequence: first.sequence ?? 0, event: first } : this.#claim(command, sequence, content, end.sequence);
  }
}
