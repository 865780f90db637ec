import type { Duration, RunEvent, RunHandle, RunInfo, RunReference } from '@loopstack/shared';

interface Wait {
  readonly timeout?: Duration;
  readonly signal?: AbortSignal;
}

/** What a handle asks its broker for. */
export interface RunReader {
  result(run: RunReference, options?: Wait): Promise<unknown>;
  events(run: RunReference, options?: { readonly signal?: AbortSignal }): AsyncIterable<RunEvent>;
  get(run: RunReference): Promise<RunInfo>;
  cancel(run: RunReference): Promise<RunInfo>;
}

/** A run whose command the in-memory broker has. */
export class MemoryHandle<Result> implements RunHandle<Result> {
  readonly #reader: RunReader;
  readonly workspace: string;
  readonly workflow: string;
  readonly id: string;
  readonly stream: string;
  readonly sequence: number;
  readonly duplicate: boolean;

  constructor(reader: RunReader, run: RunReference, stored: Pick<RunHandle, 'stream' | 'sequence' | 'duplicate'>) {
    this.#reader = reader;
    ({ workspace: this.workspace, workflow: this.workflow, id: this.id } = run);
    ({ stream: this.stream, sequence: this.sequence, duplicate: this.duplicate } = stored);
  }

  result(options?: Wait): Promise<Result> {
    return this.#reader.result(this, options) as Promise<Result>;
  }

  events(options?: { readonly signal?: AbortSignal }): AsyncIterable<RunEvent> {
    return this.#reader.events(this, options);
  }

  status(): Promise<RunInfo> {
    return this.#reader.get(this);
  }

  cancel(): Promise<RunInfo> {
    return this.#reader.cancel(this);
  }
}
