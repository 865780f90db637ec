import { Inject, Injectable } from '@nestjs/common';
import { Enhancers } from './enhancers.js';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from './options.js';
import { WorkflowRegistry } from './registry.js';
import { WorkflowRunner } from './runner.js';

/** The door for a broker's module: one runner for each workflow of this process. */
@Injectable()
export class Workers {
  constructor(
    private readonly registry: WorkflowRegistry,
    private readonly enhancers: Enhancers,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
  ) {}

  runners(): readonly WorkflowRunner[] {
    const { maxDepth, maxCauseDepth, trust } = this.options;
    return this.registry.workflows.map((entry) => {
      const trusted = trust.get(entry.workspace) ?? trust.get('*');
      return new WorkflowRunner(entry, this.enhancers.invoker(entry), maxDepth, maxCauseDepth, trusted);
    });
  }
}
