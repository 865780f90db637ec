/**
 * Up to when stored commands may have been delivered without that their durable knows: it is a new one, or its server was killed and has
 * forgotten its last deliveries. Such a command is looked up in its history before it runs.
 */
export class RedeliveryUncertainty<State extends { readonly untilMs: number }> {
  readonly #ask: () => Promise<State | undefined>;
  readonly #answered: (state: State) => void;
  /** By the server's clock. */
  #untilMs = 0;
  /** Counts the reasons to ask. */
  #reasons = 0;
  #asking = false;

  /** @param ask how the durable stands on the server; undefined where the process stops before it is known */
  constructor(ask: () => Promise<State | undefined>, answered: (state: State) => void) {
    this.#ask = ask;
    this.#answered = answered;
  }

  /** Whether a command that was stored then may have been delivered before. */
  covers(timeMs: number): boolean {
    return timeMs <= this.#untilMs;
  }

  /** Commands that were stored before this time, by the server's clock, are uncertain. */
  until(timeMs: number): void {
    this.#untilMs = timeMs;
  }

  /** Until the server has said how the durable stands, all commands are uncertain. */
  raise(): void {
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#reasons++;
    if (!this.#asking) void this.#resolve();
  }

  async #resolve(): Promise<void> {
    this.#asking = true;
    for (let asked = 0; asked !== this.#reasons;) {
      asked = this.#reasons;
      const state = await this.#ask();
      if (!state) break;
      // An answer to a question from before the last reason says nothing of it.
      if (asked !== this.#reasons) continue;
      this.#untilMs = state.untilMs;
      this.#answered(state);
    }
    this.#asking = false;
  }
}
