import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { LoopstackError } from '@loopstack/shared';
import { LoopstackOptionsToken, type ResolvedLoopstackOptions } from '../options.js';
import { hasReactions, resolveReactions, type Reaction } from './on-run.js';
import type { ResolvedBinding } from './on-event.js';
import { ofOneClass, provided } from '../declare/provided.js';
import type { Redactor } from '../declare/redact.js';
import { WorkflowRegistry, type RegisteredWorkflow } from '../declare/registry.js';
import { resolveChains, type ResolvedChain } from './then.js';

/** An event that starts a workflow of this process. */
export interface WorkflowBinding {
  readonly entry: RegisteredWorkflow;
  readonly binding: ResolvedBinding;
}

/** The door for a broker's module: what this process listens to. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly registry: WorkflowRegistry,
    private readonly discovery: DiscoveryService,
    @Inject(LoopstackOptionsToken) private readonly options: ResolvedLoopstackOptions,
  ) {}

  /** Name of the service that this process is a replica of. */
  get service(): string | undefined {
    return this.options.service;
  }

  /** Levels that the JSON of an event may nest. */
  get maxDepth(): number {
    return this.options.maxDepth;
  }

  /** For errors of handlers that are of no workflow. */
  get redactor(): Redactor | undefined {
    return this.options.redactor;
  }

  /** Runs that may have started one another in a chain. */
  get maxCauseDepth(): number {
    return this.options.maxCauseDepth;
  }

  has(workspace: string, workflow: string): boolean {
    return this.registry.find(workspace, workflow) !== undefined;
  }

  bindings(): readonly WorkflowBinding[] {
    return this.registry.workflows.flatMap((entry) => entry.options.on.map((binding) => ({ entry, binding })));
  }

  /** Read late, when every module is loaded. @throws LoopstackError BOOT_FAILED */
  chains(): readonly ResolvedChain[] {
    const problems: string[] = [];
    const workspacesOf = (workflow: string): string[] =>
      this.registry.workflows.filter((entry) => entry.workflow === workflow).map((entry) => entry.workspace);
    const chains = this.registry.workflows.flatMap((entry) => {
      try {
        return resolveChains(
          { workspace: entry.workspace, workflow: entry.workflow },
          entry.options.chains,
          workspacesOf,
          this.options.defaults,
        );
      } catch (error) {
        problems.push((error as Error).message);
        return [];
      }
    });
    if (problems.length > 0) throw new LoopstackError('BOOT_FAILED', { problems: problems.join('; ') });
    return chains;
  }

  /** @throws LoopstackError BOOT_FAILED */
  reactions(): readonly Reaction[] {
    const wrappers = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    return resolveReactions(ofOneClass(provided(wrappers, hasReactions)), this.service);
  }
}
