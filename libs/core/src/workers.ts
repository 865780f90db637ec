import { LoopstackError, type ResolvedTrust } from '@loopstack/shared';
import { Inject, Injectable } from '@nestjs/common';
import { Enhancers } from './declare/enhancers.js';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from './options.js';
import { WorkflowRegistry } from './declare/registry.js';
import { WorkflowRunner } from './run/runner.js';
import { DECLARED, declaredSchedules } from './declare/schedule.js';
import { checkPayload } from './validation/check-payload.js';

/** The door for a broker's module: one runner for each workflow of this process. */
@Injectable()
export class Workers {
  constructor(
    private readonly registry: WorkflowRegistry,
    private readonly enhancers: Enhancers,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
  ) {}

  runners(): readonly WorkflowRunner[] {
    const { maxDepth, maxCauseDepth, release } = this.options;
    return this.registry.workflows.map((entry) => {
      const limits = { maxDepth, maxCauseDepth, trust: this.trustOf(entry.workspace) };
      return new WorkflowRunner(entry, this.enhancers.invoker(entry), limits, release);
    });
  }

  /** Whose commands are trusted in a workspace, served here or not; undefined where no signature is demanded. */
  trustOf(workspace: string): ResolvedTrust | undefined {
    const { trust } = this.options;
    return trust.get(workspace) ?? trust.get('*');
  }

  /** Refuses declared schedules whose runs would be refused each time. @throws LoopstackError BOOT_FAILED, OPTION_INVALID */
  async checkSchedules(): Promise<void> {
    const problems: string[] = [];
    for (const entry of this.registry.workflows) {
      for (const { id, payload } of declaredSchedules(entry)) {
        const name = `@Schedule of ${entry.type.name}, ${id.slice(DECLARED.length)}`;
        if (this.trustOf(entry.workspace)) {
          problems.push(
            `${name}: workspace ${entry.workspace} demands signatures (trust), which the server cannot make for what a schedule starts; use @Cron and RunService instead`,
          );
          continue;
        }
        try {
          if (entry.validator) await checkPayload(entry.validator, entry.workflow, payload, this.options.maxDepth);
        } catch (error) {
          problems.push(`${name}: ${(error as Error).message}; give it a payload that is accepted`);
        }
      }
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
  }
}
