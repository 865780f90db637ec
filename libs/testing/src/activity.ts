import { clearTimeout, setTimeout } from 'node:timers';

/** What has begun and may still change something without time passing: queued and executing runs, events that are handled. */
interface Task {
  readonly title: string;
  /** It was waited for in vain: it waits for something that is not here, such as a timer. */
  stuck: boolean;
}

/**
 * Counts what is under way, so that a test can wait until nothing is. Real timers wait for it, whatever the test framework has
 * made of the global ones.
 */
export class Activity {
  readonly #tasks = new Set<Task>();
  #changed: (() => void)[] = [];

  /** @returns ends it; may be called more than once */
  begin(title: string): () => void {
    const task: Task = { title, stuck: false };
    this.#tasks.add(task);
    this.#tell();
    return () => {
      if (this.#tasks.delete(task)) this.#tell();
    };
  }

  get titles(): readonly string[] {
    return [...this.#tasks].map(({ title }) => title);
  }

  /**
   * Waits until nothing is under way.
   * @returns false if that takes longer
   */
  async ended(timeoutMs: number): Promise<boolean> {
    const deadline = process.hrtime.bigint() + BigInt(timeoutMs) * 1_000_000n;
    while (this.#tasks.size > 0) {
      const leftMs = Number((deadline - process.hrtime.bigint()) / 1_000_000n);
      if (leftMs <= 0 || !(await this.#change(leftMs))) return this.#tasks.size === 0;
    }
    return true;
  }

  /** Waits while something goes on; what does nothing for as long as `patienceMs` is not waited for again. */
  async quiet(patienceMs: number): Promise<void> {
    while ([...this.#tasks].some(({ stuck }) => !stuck)) {
      if (await this.#change(patienceMs)) continue;
      for (const task of this.#tasks) task.stuck = true;
    }
  }

  /** @returns false if nothing has changed within that time */
  #change(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#changed = this.#changed.filter((other) => other !== changed);
        resolve(false);
      }, timeoutMs);
      const changed = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      this.#changed.push(changed);
    });
  }

  #tell(): void {
    const told = this.#changed;
    this.#changed = [];
    for (const tell of told) tell();
  }
}
