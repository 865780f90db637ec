export * from './attempt.js';
export { CONTEXT_TYPE } from './enhancers.js';
export { LoopstackExceptionFilter } from './exception-filter.js';
export { LoopstackModule, type LoopstackAsyncOptions } from './module.js';
export type { LoopstackOptions } from './options.js';
export { WorkflowRegistry, type RegisteredWorkflow } from './registry.js';
export type { AbortReason, RunContext } from './run-context.js';
export { RunGateway } from './run-gateway.js';
export { RunService } from './run-service.js';
export { Execution, NonRetryableError, WorkflowRunner, type Delivery, type PreparedRun } from './runner.js';
export { resolveRetry, retryDelayMs, settle, type Outcome, type RetryOptions, type RetryPolicy, type Settlement } from './settle.js';
export {
  Workflow,
  Workspace,
  type PayloadOf,
  type Recording,
  type ResolvedWorkflowOptions,
  type ResultOf,
  type WorkflowClass,
  type WorkflowDefaults,
  type WorkflowInstance,
  type WorkflowOptions,
  type WorkspaceClass,
  type WorkspaceOptions,
} from './workflow.js';
export { Workers } from './workers.js';
