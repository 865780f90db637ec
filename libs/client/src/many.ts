import {
  LoopstackError,
  type RunFailure,
  type RunHandle,
  type RunItem,
  type RunManyOptions,
  type RunManyProgress,
  type RunManyReport,
} from '@loopstack/shared/contract';

const PROGRESS_EVERY = 1000;

type Start = (item: RunItem) => Promise<RunHandle>;

/**
 * Starts a run for each item, with a bounded number of them in flight: the source is asked for an item only when there
 * is room, so a stream of any length needs constant memory. An item that fails stops no other one.
 * @throws what the source throws, once the items that were taken are done
 */
export async function runMany(
  items: Iterable<RunItem> | AsyncIterable<RunItem>,
  start: Start,
  options: RunManyOptions = {},
): Promise<RunManyReport> {
  const many = new Many(start, options);
  let index = 0;
  try {
    if (Symbol.asyncIterator in items) {
      for await (const item of items) {
        if (options.signal?.aborted) break;
        await many.take(item, index++);
      }
    } else {
      for (const item of items) {
        if (options.signal?.aborted) break;
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

class Many {
  readonly #start: Start;
  readonly #options: RunManyOptions;
  readonly #concurrency: number;
  readonly #maxFailures: number;
  readonly #failures: RunFailure[] = [];
  #accepted = 0;
  #duplicates = 0;
  #failed = 0;
  #inFlight = 0;
  #room: (() => void) | undefined;

  constructor(start: Start, options: RunManyOptions) {
    this.#start = start;
    this.#options = options;
    this.#concurrency = atLeastOne('concurrency', options.concurrency ?? 4096);
    this.#maxFailures = options.maxFailures ?? 1000;
  }

  /** Starts an item; a promise if the next one must wait. */
  take(item: RunItem, index: number): Promise<void> | undefined {
    this.#inFlight++;
    this.#start(item).then(
      (run) => this.#succeeded(run, index),
      (error: unknown) => this.#fail(item, index, error),
    );
    if (this.#inFlight < this.#concurrency) return undefined;
    return new Promise((resolve) => (this.#room = resolve));
  }

  async drained(): Promise<void> {
    while (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#room = resolve));
  }

  report(): RunManyReport {
    const progress = this.#progress();
    if ((this.#accepted + this.#failed) % PROGRESS_EVERY !== 0) this.#options.onProgress?.(progress);
    return { ...progress, failures: this.#failures.sort((a, b) => a.index - b.index) };
  }

  #succeeded(run: RunHandle, index: number): void {
    this.#accepted++;
    if (run.duplicate) this.#duplicates++;
    this.#options.onAccepted?.(run, index);
    this.#done();
  }

  #fail({ workspace, workflow }: RunItem, index: number, error: unknown): void {
    this.#failed++;
    if (this.#failures.length < this.#maxFailures)
      this.#failures.push({ index, address: { workspace, workflow }, error: error as LoopstackError });
    this.#done();
  }

  #done(): void {
    this.#inFlight--;
    if ((this.#accepted + this.#failed) % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.#progress());
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  #progress(): RunManyProgress {
    return { accepted: this.#accepted, duplicates: this.#duplicates, failed: this.#failed };
  }
}

function atLeastOne(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new LoopstackError('OPTION_INVALID', { option, expected: 'a whole number from 1', received: String(value) });
}
