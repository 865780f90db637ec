import { Injectable } from '@nestjs/common';
import type {
  Recurrence,
  RunAddress,
  RunFilter,
  RunHandle,
  RunInfo,
  RunItem,
  RunManyOptions,
  RunManyReport,
  RunOptions,
  RunReference,
  Schedule,
  ScheduleOptions,
} from '@loopstack/shared';

/** Recurring runs, as the broker keeps them. */
export interface ScheduleStore {
  put(
    id: string,
    recurrence: Recurrence,
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options?: ScheduleOptions,
  ): Promise<Schedule>;
  /** @throws LoopstackError SCHEDULE_UNKNOWN */
  get(address: RunAddress, id: string): Promise<Schedule>;
  list(filter?: Partial<RunAddress>): Promise<readonly Schedule[]>;
  cancel(address: RunAddress, id: string): Promise<void>;
}

/**
 * The port through which `RunService` reaches a broker; a broker's module provides it. Names come checked, payloads
 * validated; the gateway encodes, publishes and resolves on the broker's acknowledgement.
 */
@Injectable()
export abstract class RunGateway {
  abstract run<Result>(
    workflow: string,
    workspace: string,
    payload: unknown,
    userId: string,
    options?: RunOptions,
  ): Promise<RunHandle<Result>>;
  abstract runMany(items: Iterable<RunItem> | AsyncIterable<RunItem>, options?: RunManyOptions): Promise<RunManyReport>;
  abstract fanOut(items: Iterable<RunItem>): Promise<readonly RunHandle[]>;
  abstract readonly schedules: ScheduleStore;
  /** Refuses what no worker serves, as far as the broker knows, and a payload that its worker would refuse. */
  abstract check(address: RunAddress, payload: unknown): Promise<void>;
  abstract get(run: string | RunReference): Promise<RunInfo>;
  abstract list(filter?: RunFilter): Promise<readonly RunInfo[]>;
  abstract cancel(run: string | RunReference): Promise<RunInfo>;
}
