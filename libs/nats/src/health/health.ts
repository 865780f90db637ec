import type { LoopstackError } from '@loopstack/shared';

/** Conditions that an operator must see, by name, with the reason. Raised and cleared by the code that finds them. */
export class Alarms {
  readonly #log: (message: string) => void;
  readonly #raised = new Map<string, string>();

  constructor(log: (message: string) => void) {
    this.#log = log;
  }

  raise(name: string, reason: string): void {
    if (this.#raised.get(name) !== reason) this.#log(reason);
    this.#raised.set(name, reason);
  }

  /** Raised for a time, and logged once in it, whatever comes meanwhile. */
  tell(name: string, forMs: number, reason: string): void {
    if (this.#raised.has(name)) return;
    this.raise(name, reason);
    setTimeout(() => this.clear(name), forMs).unref();
  }

  /** A stream stores nothing, or stores again. */
  readonly storage = (stream: string, error: LoopstackError | undefined): void => {
    if (error) this.raise(`storage:${stream}`, `${error.message}. ${error.fix}`);
    else this.clear(`storage:${stream}`);
  };

  clear(name: string): void {
    this.#raised.delete(name);
  }

  get raised(): ReadonlyMap<string, string> {
    return this.#raised;
  }
}

/** The shape of a Terminus health indicator's result. */
export type HealthResult<Key extends string = string> = Record<Key, { readonly status: 'up' | 'down' } & Readonly<Record<string, unknown>>>;
