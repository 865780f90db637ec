import { LoopstackError } from '@loopstack/shared';
import { Inject, Injectable } from '@nestjs/common';
import { Enhancers } from './enhancers.js';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from './options.js';
import { WorkflowRegistry } from './registry.js';
import { WorkflowRunner } from './runner.js';
import { DECLARED, declaredSchedules } from './schedule.js';
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
    const { maxDepth, maxCauseDepth, trust, release } = this.options;
    return this.registry.workflows.map((entry) => {
      const limits = { maxDepth, maxCauseDepth, trust: trust.get(entry.workspace) ?? trust.get('*') };
      return new WorkflowRunner(entry, this.enhancers.invoker(entry), limits, release);
    });
  }

  /** Refuses declared payloads that their workflows would refuse each time. @throws LoopstackError BOOT_FAILED, OPTION_INVALID */
  async checkSchedules(): Promise<void> {
    const problems: string[] = [];
    for (const entry of this.registry.workflows) {
      for (const { id, payload } of declaredSchedules(entry)) {
        try {
          if (entry.validator) await checkPayload(entry.validator, entry.workflow, payload, this.options.maxDepth);
        } catch (error) {
          problems.push(
            `@Schedule of ${entry.type.name}, ${id.slice(DECLARED.length)}: ${(error as Error).message}; give it a payload that is accepted`,
          );
        }
      }
    }
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
  }
}
