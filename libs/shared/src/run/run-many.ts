import { assertRunItem, type RunFailure, type RunManyOptions, type RunManyProgress, type RunManyReport } from '../message/batch.js';
import { LoopstackError } from '../error.js';
import { integerFrom } from '../value/option.js';
import type { RunHandle, RunItem } from './run.js';
import type { RunAddress } from '../names/subject.js';

/** What stores commands by the thousand. `T` stands for an item. */
export interface Bulk<Message, T> {
  readonly usable: boolean;
  /** False: it takes no more. */
  put(message: Message, tag: T): boolean;
  flush(): void;
  close(): void;
}

export interface BulkListener<T> {
  /** The broker has them. */
  stored(tags: readonly T[]): void;
  /** The broker did not say that it has them: each is stored by itself. */
  left(tags: readonly T[]): void;
}

/** A command that knows its run. */
export interface Identified {
  readonly runId: string;
}

/** How items are started. */
export interface Starter<Message extends Identified> {
  /** Throws, or rejects, with what refuses the item. */
  readonly check: ((item: RunItem) => void | Promise<void>) | undefined;
  start(item: RunItem): Promise<RunHandle>;
  /** The command of an item that may go with thousands of others; undefined: it goes alone. */
  bulk(item: RunItem): Message | undefined;
  /** Undefined: the server takes no bulk. */
  ingest(listener: BulkListener<Taken<Message>>): Bulk<Message, Taken<Message>> | undefined;
  /** Writes a command that bulk left over. */
  publish(message: Message): Promise<unknown>;
}

/** What is kept of an item until it is stored: its payload is not, or the collector would move all of them. */
export interface Taken<Message extends Identified> extends RunAddress {
  readonly index: number;
  readonly message: Message;
}

const PROGRESS_EVERY = 1000;
const CONCURRENCY = 4096;
/** Items on their way in bulk: all that are written ahead of an acknowledgement, and some that wait. More make the collector work. */
const IN_BULK = 1024;

/**
 * Starts a run for each item, with a bounded number of them in flight: the source is asked for an item only when there
 * is room, so a stream of any length needs constant memory. An item that fails stops no other one.
 * @throws what the source or a callback throws, once the items that were taken are done
 */
export async function runMany<Message extends Identified>(
  items: Iterable<RunItem> | AsyncIterable<RunItem>,
  starter: Starter<Message>,
  options: RunManyOptions = {},
): Promise<RunManyReport> {
  const many = new Many(starter, options);
  let index = 0;
  try {
    if (Symbol.asyncIterator in items) {
      for await (const item of options.signal ? untilAborted(items, options.signal) : items) {
        if (many.stopped) break;
        await many.take(item, index++);
      }
    } else {
      for (const item of items) {
        if (many.stopped) break;
        // A promise only where there is something to wait for.
        const room = many.take(item, index++);
        if (room) await room;
      }
    }
  } finally {
    await many.drained();
  }
  return many.report();
}

class Many<Message extends Identified> {
  readonly #starter: Starter<Message>;
  readonly #options: RunManyOptions;
  readonly #concurrency: number;
  readonly #maxFailures: number;
  readonly #failures: RunFailure[] = [];
  readonly #runIds: (string | undefined)[] | undefined;
  readonly #ingest: Bulk<Message, Taken<Message>> | undefined;
  #accepted = 0;
  #duplicates = 0;
  #failed = 0;
  #inFlight = 0;
  #room: (() => void) | undefined;
  #thrown: unknown[] = [];

  constructor(starter: Starter<Message>, options: RunManyOptions) {
    this.#starter = starter;
    this.#options = options;
    this.#concurrency = integerFrom('concurrency', 1, options.concurrency ?? CONCURRENCY);
    this.#maxFailures = options.maxFailures ?? 1000;
    this.#runIds = options.keepIds === true ? [] : undefined;
    // In bulk the server does not tell where each command is stored, and needs a few thousand in flight.
    const bulk = options.onAccepted === undefined && this.#concurrency >= CONCURRENCY;
    this.#ingest = bulk ? starter.ingest({ stored: (tags) => this.#storedAll(tags), left: (tags) => this.#publish(tags) }) : undefined;
  }

  get stopped(): boolean {
    return this.#thrown.length > 0 || this.#options.signal?.aborted === true;
  }

  /** Starts an item; a promise if the next one must wait. */
  take(item: RunItem, index: number): Promise<void> | undefined {
    this.#inFlight++;
    const { check } = this.#starter;
    if (typeof item !== 'object' || item === null) this.#refuse(item, index);
    else if (check) this.#checked(check, item, index);
    else this.#begin(item, index);
    if (this.#inFlight < (this.#ingest?.usable ? IN_BULK : this.#concurrency)) return undefined;
    return new Promise((resolve) => (this.#room = resolve));
  }

  async drained(): Promise<void> {
    this.#ingest?.flush();
    while (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#room = resolve));
    this.#ingest?.close();
  }

  report(): RunManyReport {
    if (this.#done % PROGRESS_EVERY !== 0) this.#tell(() => this.#options.onProgress?.(this.#progress()));
    if (this.#thrown.length > 0) throw this.#thrown[0];
    const failures = this.#failures.sort((a, b) => a.index - b.index);
    return { ...this.#progress(), failures, ...(this.#runIds && { runIds: this.#runIds }) };
  }

  #refuse(item: unknown, index: number): void {
    try {
      assertRunItem(item, index);
    } catch (error) {
      this.#fail({}, index, error);
    }
  }

  #checked(check: (item: RunItem) => void | Promise<void>, item: RunItem, index: number): void {
    const begin = (): void => this.#begin(item, index);
    const fail = (error: unknown): void => this.#fail(item, index, error);
    try {
      const checking = check(item);
      if (checking === undefined) begin();
      else checking.then(begin, fail);
    } catch (error) {
      fail(error);
    }
  }

  #begin(item: RunItem, index: number): void {
    try {
      const message = this.#ingest && this.#starter.bulk(item);
      if (message) {
        const taken = { workspace: item.workspace, workflow: item.workflow, index, message };
        if (!this.#ingest.put(message, taken)) this.#publish([taken]);
      } else
        this.#starter.start(item).then(
          (run) => this.#succeeded(run, index),
          (error: unknown) => this.#fail(item, index, error),
        );
    } catch (error) {
      this.#fail(item, index, error);
    }
  }

  #publish(tags: readonly Taken<Message>[]): void {
    for (const taken of tags) {
      this.#starter.publish(taken.message).then(
        () => this.#storedAll([taken]),
        (error: unknown) => this.#fail(taken, taken.index, error),
      );
    }
  }

  #succeeded(run: RunHandle, index: number): void {
    if (run.duplicate) this.#duplicates++;
    this.#tell(() => this.#options.onAccepted?.(run, index));
    if (this.#runIds) this.#runIds[index] = run.id;
    this.#stored(1);
  }

  #storedAll(tags: readonly Taken<Message>[]): void {
    if (this.#runIds) for (const { index, message } of tags) this.#runIds[index] = message.runId;
    this.#stored(tags.length);
  }

  #stored(count: number): void {
    this.#accepted += count;
    this.#settled(count);
  }

  #fail(item: Partial<RunItem>, index: number, error: unknown): void {
    this.#failed++;
    if (this.#runIds) this.#runIds[index] = undefined;
    if (this.#failures.length < this.#maxFailures) {
      const address = addressOf(item);
      const reason = address ? (error as LoopstackError) : unreadable(index, error);
      this.#failures.push({ index, address: address ?? { workspace: '', workflow: '' }, error: reason });
    }
    this.#settled(1);
  }

  #settled(count: number): void {
    this.#inFlight -= count;
    const { onProgress } = this.#options;
    const thousands = (n: number): number => Math.floor(n / PROGRESS_EVERY);
    if (onProgress && thousands(this.#done) > thousands(this.#done - count)) this.#tell(() => onProgress(this.#progress()));
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  get #done(): number {
    return this.#accepted + this.#failed;
  }

  #progress(): RunManyProgress {
    return { accepted: this.#accepted, duplicates: this.#duplicates, failed: this.#failed };
  }

  /** What a callback throws ends the taking; it is thrown when the items that were taken are done. */
  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#thrown.push(error);
    }
  }
}

/** Undefined for an item that throws when it is looked at. */
function addressOf(item: Partial<RunItem>): RunAddress | undefined {
  try {
    const { workspace = '', workflow = '', payload: _, userId: __, options: ___ } = item;
    return { workspace, workflow };
  } catch {
    return undefined;
  }
}

/** Ends with the signal, also while the source has nothing to give: the source is told then, and not waited for. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let wake = (): void => {};
  const abort = (): void => wake();
  signal.addEventListener('abort', abort, { once: true });
  let over = false;
  try {
    while (!signal.aborted) {
      // A promise of its own for each item: one that lives as long as the signal would keep them all.
      const next = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        iterator.next().then(resolve, (error: Error) => {
          over = true;
          reject(error);
        });
      });
      over = next?.done === true;
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    const returned = over ? undefined : iterator.return?.();
    if (!signal.aborted) await returned;
    else returned?.catch(() => undefined);
  }
}

function unreadable(index: number, cause: unknown): LoopstackError {
  const details = { option: `items[${index}]`, expected: 'an item that can be read', received: 'one that throws' };
  return new LoopstackError('OPTION_INVALID', details, { cause });
}
