import { Logger } from '@nestjs/common';

/** Work that is done now and then, until it is stopped: never twice at once, and not while there is no server to ask. */
export class PeriodicTasks {
  readonly #logger: Logger;
  readonly #mayRun: () => boolean;
  readonly #timers: NodeJS.Timeout[] = [];

  /**
   * @param context of what they log
   * @param mayRun false: this turn is left out
   */
  constructor(context: string, mayRun: () => boolean) {
    this.#logger = new Logger(context);
    this.#mayRun = mayRun;
  }

  /** @param failure what the log says where the work rejects */
  every(intervalMs: number, failure: string, work: () => Promise<unknown>): void {
    let busy = false;
    const turn = (): void => {
      if (busy || !this.#mayRun()) return;
      busy = true;
      void work()
        .catch((error: Error) => this.#logger.warn(`${failure}: ${error.message}`))
        .finally(() => (busy = false));
    };
    this.#timers.push(setInterval(turn, intervalMs).unref());
  }

  /** Now, and then after each interval. */
  nowAndEvery(intervalMs: number, failure: string, work: () => Promise<unknown>): void {
    void work().catch((error: Error) => this.#logger.warn(`${failure}: ${error.message}`));
    this.every(intervalMs, failure, work);
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }
}
