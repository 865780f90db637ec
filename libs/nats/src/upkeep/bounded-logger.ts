import { Logger } from '@nestjs/common';

/** Lines that one source may log in a window; the rest of it is counted. */
const LINES = 100;
const WINDOW_MS = 10_000;

/**
 * A logger for what a producer can cause, once for each message that it sends: a flood of bad commands is a few lines and a count, and
 * every one of them has its dead letter or its history all the same.
 */
export class BoundedLogger {
  readonly #windowMs: number;
  readonly #logger: Logger;
  #left = LINES;
  #omitted = 0;
  #window: NodeJS.Timeout | undefined;

  constructor(context: string, windowMs = WINDOW_MS) {
    this.#windowMs = windowMs;
    this.#logger = new Logger(context);
  }

  error(message: string, stack?: string): void {
    if (!this.#mayTell()) return;
    if (stack === undefined) this.#logger.error(message);
    else this.#logger.error(message, stack);
  }

  warn(message: string): void {
    if (this.#mayTell()) this.#logger.warn(message);
  }

  debug(message: string): void {
    this.#logger.debug(message);
  }

  /** Says in how far a window was too small, at its end: also where nothing more comes. */
  #mayTell(): boolean {
    if (this.#window === undefined) {
      this.#left = LINES;
      this.#window = setTimeout(() => this.#ended(), this.#windowMs).unref();
    }
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.#omitted++;
    return false;
  }

  #ended(): void {
    this.#window = undefined;
    if (this.#omitted === 0) return;
    this.#logger.warn(`${this.#omitted} more lines of the last ${this.#windowMs / 1000} s are left out`);
    this.#omitted = 0;
  }
}
