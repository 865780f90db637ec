import { runIdOrigin, type Duration, type RunAddress, type RunEvent, type RunHandle, type RunInfo } from '@loopstack/shared/contract';
import type { Receiver } from '@loopstack/jetstream';

/** What a handle asks its client for. */
export interface RunOperations {
  result(address: RunAddress, runId: string, options?: { readonly timeout?: Duration; readonly signal?: AbortSignal }): Promise<unknown>;
  events(address: RunAddress, runId: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<RunEvent>;
  /** @param sequence where the command is stored; 0 if that is not known */
  get(runId: string, address?: RunAddress, sequence?: number): Promise<RunInfo>;
  cancel(runId: string, address?: RunAddress, sequence?: number): Promise<RunInfo>;
}

/** A handle that becomes complete with the acknowledgement of its command. */
export class StoredRun<Result> implements RunHandle<Result>, Receiver<RunHandle<Result>> {
  readonly #operations: RunOperations;
  stream = '';
  sequence = 0;
  duplicate = false;

  constructor(
    operations: RunOperations,
    readonly workspace: string,
    readonly workflow: string,
    readonly id: string,
  ) {
    this.#operations = operations;
  }

  /** A new id that is there already was stored by its own first writing, before the connection was lost. */
  acknowledged(stream: string, sequence: number, duplicate: boolean): this {
    this.stream = stream;
    this.sequence = sequence;
    this.duplicate = duplicate && runIdOrigin(this.id) === 'key';
    return this;
  }

  result(options?: { readonly timeout?: Duration; readonly signal?: AbortSignal }): Promise<Result> {
    return this.#operations.result(this, this.id, options) as Promise<Result>;
  }

  events(options?: { readonly signal?: AbortSignal }): AsyncIterable<RunEvent> {
    return this.#operations.events(this, this.id, options);
  }

  status(): Promise<RunInfo> {
    return this.#operations.get(this.id, this, this.sequence);
  }

  cancel(): Promise<RunInfo> {
    return this.#operations.cancel(this.id, this, this.sequence);
  }
}
