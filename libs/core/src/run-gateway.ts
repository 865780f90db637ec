import { Injectable } from '@nestjs/common';
import type { RunAddress, RunFilter, RunHandle, RunInfo, RunOptions } from '@loopstack/shared';

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
  /** Refuses what no worker serves, as far as the broker knows, and a payload that its worker would refuse. */
  abstract check(address: RunAddress, payload: unknown): Promise<void>;
  abstract get(runId: string, address?: RunAddress): Promise<RunInfo>;
  abstract list(filter?: RunFilter): Promise<readonly RunInfo[]>;
  abstract cancel(runId: string, address?: RunAddress): Promise<RunInfo>;
}
