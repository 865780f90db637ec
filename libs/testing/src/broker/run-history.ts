import {
  LONGEST_TIMER_MS,
  LoopstackError,
  decodeRunEvent,
  durationMs,
  isOutcome,
  resultOf,
  type Duration,
  type RunEvent,
  type RunReference,
} from '@loopstack/shared';
import type { MemoryBroker } from './memory-broker.js';

const RESULT_TIMEOUT = '30s';

/** Outcomes and histories of runs, for those who wait. */
export class RunHistory {
  readonly #waiting = new Map<string, Set<() => void>>();
  #closed = false;

  constructor(private readonly broker: MemoryBroker) {
    broker.events.onMessage(({ subject }) => this.#wake(subject));
  }

  /** @throws LoopstackError RUN_FAILED, RUN_CANCELED, RUN_EXPIRED, RESULT_TIMEOUT (in real time), CLOSED */
  async result(run: RunReference, options: { readonly timeout?: Duration; readonly signal?: AbortSignal } = {}): Promise<unknown> {
    const { signal } = options;
    const timeoutMs = durationMs('timeout', options.timeout ?? RESULT_TIMEOUT);
    signal?.throwIfAborted();
    const outcome = await new Promise<RunEvent>((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        forget();
      };
      const look = (): void => {
        const last = this.broker.lastEvent(run, run.id)?.event;
        const ended = last && isOutcome(last.type);
        if (!ended && !this.#closed) return;
        finish();
        if (ended) resolve(last);
        else reject(new LoopstackError('CLOSED'));
      };
      const aborted = (): void => {
        finish();
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(
        () => {
          finish();
          reject(new LoopstackError('RESULT_TIMEOUT', { runId: run.id, timeoutMs }));
        },
        Math.min(timeoutMs, LONGEST_TIMER_MS),
      );
      const forget = this.#wait(run, look);
      signal?.addEventListener('abort', aborted, { once: true });
      look();
    });
    return resultOf(run.id, outcome);
  }

  /** The events of a run in order, live; ends with the outcome that stands last. */
  async *events(run: RunReference, { signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<RunEvent> {
    signal?.throwIfAborted();
    let wake = (): void => {};
    const notice = (): void => wake();
    const forget = this.#wait(run, notice);
    signal?.addEventListener('abort', notice, { once: true });
    try {
      for (let next = 0, ended = false; ;) {
        const message = this.broker.history(run, run.id)[next];
        if (message) {
          next++;
          const event = decodeRunEvent(message.data);
          if (!event) continue;
          ended = isOutcome(event.type);
          yield event;
        } else if (ended) {
          return;
        } else {
          if (this.#closed) throw new LoopstackError('CLOSED');
          await new Promise<void>((resolve) => (wake = resolve));
        }
        signal?.throwIfAborted();
      }
    } finally {
      signal?.removeEventListener('abort', notice);
      forget();
    }
  }

  /** Ends all waiting with CLOSED. */
  close(): void {
    this.#closed = true;
    for (const subject of [...this.#waiting.keys()]) this.#wake(subject);
  }

  #wait(run: RunReference, notice: () => void): () => void {
    const subject = this.broker.options.names.event(run, run.id);
    const waiting = this.#waiting.get(subject) ?? new Set();
    this.#waiting.set(subject, waiting.add(notice));
    return () => {
      waiting.delete(notice);
      if (waiting.size === 0) this.#waiting.delete(subject);
    };
  }

  #wake(subject: string): void {
    for (const notice of [...(this.#waiting.get(subject) ?? [])]) notice();
  }
}
