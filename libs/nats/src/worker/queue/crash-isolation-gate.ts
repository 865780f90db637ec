/** A suspect has its turn within this time of its arrival, however many there are. */
const TURN_WITHIN_MS = 30_000;

/** A run in its last attempt, after one that died untold: it may be the one that kills processes, or one that ran beside it. */
export interface Suspect {
  /** Its last attempt has died already, with others beside it: now it has the process for itself, for as long as it takes. */
  readonly strict: boolean;
  /** Another suspect is about to run beside it. Never rejects. */
  joined(): Promise<void>;
}

export interface Turn {
  /** Others run beside it from the start. */
  readonly beside: boolean;
  /** It has ended. */
  readonly leave: () => void;
}

interface Waiting {
  readonly suspect: Suspect;
  readonly deadlineMs: number;
  readonly begin: (turn: Turn) => void;
}

/**
 * One suspect at a time in a process, each for its share of the time within which all that wait have their turn. One that has not ended by
 * then goes on beside the next one, and both are told: if the process dies now, neither of them is known to have done it.
 */
export class CrashIsolationGate {
  readonly #withinMs: number;
  readonly #now: () => number;
  readonly #running = new Set<Suspect>();
  readonly #waiting: Waiting[] = [];
  #holder: Suspect | undefined;
  #heldSinceMs = 0;
  #passing = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(withinMs = TURN_WITHIN_MS, now: () => number = () => performance.now()) {
    this.#withinMs = withinMs;
    this.#now = now;
  }

  /** Resolves when it is its turn. */
  enter(suspect: Suspect): Promise<Turn> {
    return new Promise((begin) => {
      this.#waiting.push({ suspect, deadlineMs: this.#now() + this.#withinMs, begin });
      this.#look();
    });
  }

  /** Lets the next one pass, or looks again when the share of the one that has its turn is over. */
  #look(): void {
    clearTimeout(this.#timer);
    if (this.#passing || this.#waiting.length === 0) return;
    const leftMs = this.#leftMs();
    if (leftMs <= 0) void this.#pass();
    else if (leftMs < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#look(), leftMs).unref();
  }

  #leftMs(): number {
    if (this.#holder === undefined) return 0;
    if (this.#holder.strict) return Number.POSITIVE_INFINITY;
    const since = this.#heldSinceMs;
    const shareMs = Math.min(...this.#waiting.map(({ deadlineMs }, i) => (deadlineMs - since) / (i + 1)));
    return since + shareMs - this.#now();
  }

  async #pass(): Promise<void> {
    this.#passing = true;
    const { suspect, begin } = this.#waiting.shift() as Waiting;
    // A strict one waits until it is alone; others are told before it begins.
    while (suspect.strict && this.#running.size > 0) await this.#ended();
    await Promise.all([...this.#running].map((other) => other.joined()));
    const beside = this.#running.size > 0;
    this.#running.add(suspect);
    this.#holder = suspect;
    this.#heldSinceMs = this.#now();
    this.#passing = false;
    begin({ beside, leave: () => this.#leave(suspect) });
    this.#look();
  }

  #whenEnded: (() => void) | undefined;

  #ended(): Promise<void> {
    return new Promise((resolve) => (this.#whenEnded = resolve));
  }

  #leave(suspect: Suspect): void {
    this.#running.delete(suspect);
    if (this.#holder === suspect) this.#holder = undefined;
    this.#whenEnded?.();
    this.#look();
  }
}
