import { LoopstackError, jsonType } from '@loopstack/shared';
import type { WorkflowDefaults } from './workflow.js';

/** Options of `LoopstackModule.forRoot`. All optional. */
export interface LoopstackOptions {
  /** For all workflows of this application; a workflow's own options win. */
  readonly defaults?: WorkflowDefaults;
  /**
   * What `RunService` does with a workspace that is not registered in this process. Default: `refuse` where at least
   * one workspace is registered, `publish` in a producer that has none.
   */
  readonly unknownWorkspaces?: 'refuse' | 'publish';
  /** Applies the application's global guards, pipes, interceptors and filters to workflows, too. Default false: most of them expect an HTTP request. */
  readonly globalEnhancers?: boolean;
  /** Levels that the JSON of a command may nest. Default 64. */
  readonly maxDepth?: number;
}

export interface ResolvedLoopstackOptions {
  readonly defaults: WorkflowDefaults;
  readonly unknownWorkspaces: 'refuse' | 'publish' | undefined;
  readonly globalEnhancers: boolean;
  readonly maxDepth: number;
}

export const LoopstackOptionsToken = Symbol.for('loopstack:options');

/** @throws LoopstackError OPTION_INVALID */
export function resolveLoopstackOptions(given: LoopstackOptions = {}): ResolvedLoopstackOptions {
  const maxDepth = given.maxDepth ?? 64;
  if (!Number.isInteger(maxDepth) || maxDepth < 2 || maxDepth > 1000) {
    throw new LoopstackError('OPTION_INVALID', {
      option: 'maxDepth',
      expected: 'an integer from 2 to 1000',
      received: typeof maxDepth === 'number' ? String(maxDepth) : jsonType(maxDepth),
    });
  }
  return Object.freeze({
    defaults: given.defaults ?? {},
    unknownWorkspaces: given.unknownWorkspaces,
    globalEnhancers: given.globalEnhancers ?? false,
    maxDepth,
  });
}
