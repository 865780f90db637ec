import type { ReadyCommand } from '../select/selection.js';

/** Most bytes of a batch, beside its number of commands. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** A batch that is not full goes after this. */
const LINGER_MS = 1000;

/** Commands that wait for their batch. Pure. */
export class PendingBatch {
  readonly #size: number;
  #commands: ReadyCommand[] = [];
  #bytes = 0;
  #sinceMs: number;

  constructor(size: number, nowMs: number) {
    this.#size = size;
    this.#sinceMs = nowMs;
  }

  /** @returns whether the batch is full */
  add(command: ReadyCommand): boolean {
    this.#commands.push(command);
    this.#bytes += command.data.length + command.lines.length;
    return this.#commands.length >= this.#size || this.#bytes >= BATCH_BYTES;
  }

  /** Whether it has waited long enough for more. */
  isDue(nowMs: number): boolean {
    return nowMs - this.#sinceMs > LINGER_MS;
  }

  take(nowMs: number): readonly ReadyCommand[] {
    const commands = this.#commands;
    this.#commands = [];
    this.#bytes = 0;
    this.#sinceMs = nowMs;
    return commands;
  }
}
