import type { LoopstackClient } from '@loopstack/client';
import { DECLARED, declaredSchedules, type RegisteredWorkflow } from '@loopstack/core';
import { Logger } from '@nestjs/common';

/** Brings the schedules on the server in line with those that the code declares. Safe in any number of replicas: putting the same one again changes nothing. */
export class DeclaredSchedules {
  readonly #client: LoopstackClient;
  readonly #logger = new Logger(DeclaredSchedules.name);

  constructor(client: LoopstackClient) {
    this.#client = client;
  }

  /** @throws LoopstackError OPTION_INVALID, SCHEDULE_INVALID, SERVER_TOO_OLD (2.14), where something is declared */
  async declare(workflows: readonly RegisteredWorkflow[]): Promise<void> {
    for (const entry of workflows) {
      for (const { id, recurrence, userId, payload, options } of declaredSchedules(entry)) {
        await this.#client.schedules.put(id, recurrence, entry.workflow, entry.workspace, payload, userId, options);
      }
    }
  }

  /** Removes declared schedules that the code has given up. A failure is a warning: they only fire on. Never rejects. */
  async tidy(workflows: readonly RegisteredWorkflow[]): Promise<void> {
    try {
      for (const schedule of await this.#client.schedules.list()) {
        const entry = workflows.find(({ workspace, workflow }) => workspace === schedule.workspace && workflow === schedule.workflow);
        if (!entry || !schedule.id.startsWith(DECLARED)) continue;
        if (declaredSchedules(entry).some(({ id }) => id === schedule.id)) continue;
        await this.#client.schedules.cancel(schedule, schedule.id);
        this.#logger.log(
          `Removed schedule ${schedule.id.slice(DECLARED.length)} of ${schedule.workspace}.${schedule.workflow}: the code no longer declares it`,
        );
      }
    } catch (error) {
      this.#logger.warn(`Schedules that are no longer declared could not be removed: ${(error as Error).message}`);
    }
  }
}
