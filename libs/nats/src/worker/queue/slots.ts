/** The slots of a workflow in this process: so many of its runs execute at a time. */
export class Slots {
  readonly size: number;
  readonly #freed: () => void;
  /** Runs whose turn it is, and that wait for a free slot. */
  readonly #waiting: (() => void)[] = [];
  #active = 0;
  #stopped = false;

  /** @param freed called when a run that waits for its turn has lent its slot to others */
  constructor(size: number, freed: () => void) {
    this.size = size;
    this.#freed = freed;
  }

  /** Slots that are taken. */
  get active(): number {
    return this.#active;
  }

  get isFree(): boolean {
    return this.#active < this.size;
  }

  /** The worker stops: nothing new begins. */
  get stopped(): boolean {
    return this.#stopped;
  }

  take(): void {
    this.#active++;
  }

  release(): void {
    this.#active--;
  }

  /** Waits for a turn that may take long, without a slot: other runs go on. Resolves when it is its turn and it has a slot again. */
  async without<T>(turn: () => Promise<T>): Promise<T> {
    this.#active--;
    this.#freed();
    const given = await turn();
    if (this.isFree || this.#stopped) this.#active++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return given;
  }

  /** Gives a free slot to a run that waits for one. @returns false where none does */
  grant(): boolean {
    const resume = this.#waiting.shift();
    if (!resume) return false;
    this.#active++;
    resume();
    return true;
  }

  /** Lets all that wait go on, to be given back. */
  stop(): void {
    this.#stopped = true;
    while (this.grant());
  }
}
