export * from './attempt.js';
export { catalogueEntry } from './catalogue-entry.js';
export {
  assertCauseDepth,
  causeDepthOf,
  causeHeaders,
  causeOfEvent,
  currentCauseHeaders,
  headersFromEvent,
  withCause,
  type Cause,
} from './cause.js';
export { exchangedNames } from './class-name.js';
export { CONTEXT_TYPE } from './enhancers.js';
export { settleEvent, type EventOutcome, type EventPolicy, type EventSettlement, type EventTarget, type EventUse } from './event-use.js';
export { LoopstackExceptionFilter } from './exception-filter.js';
export {
  DONE,
  bindingFeed,
  chainFeed,
  feedOf,
  notStarted,
  reactionFeed,
  runOfEvent,
  type DesiredEventConsumer,
  type EventFeed,
  type SubscriptionSpec,
  type RunStarter,
  type StoredEvent,
} from './feeds.js';
export { handOver } from './hand-over.js';
export { LoopstackModule, type LoopstackAsyncOptions } from './module.js';
export {
  OnEvent,
  checkStartFrom,
  describeStart,
  useEvent,
  type EventBinding,
  type EventInfo,
  type ResolvedBinding,
  type StartFrom,
} from './on-event.js';
export { OnRun, type OnRunOptions, type Reaction } from './on-run.js';
export type { LoopstackOptions } from './options.js';
export { PriorityRotation } from './priority-rotation.js';
export { recordedError } from './recorded-error.js';
export { REDACTED, type RedactOptions, type RedactedRun, type Redactor } from './redact.js';
export { WorkflowRegistry, type RegisteredWorkflow } from './registry.js';
export type { AbortReason, RunContext } from './run-context.js';
export { payloadSchema } from './schema/payload-schema.js';
export { RunGateway, type ScheduleStore } from './run-gateway.js';
export { runNotice, type RunNotice } from './run-notice.js';
export { factsOfCommand, factsOfEvent, factsOfRun, originOf, redactedBody } from './run-record.js';
export type { HandlesOf, ItemsOf, WorkflowItem } from './run-items.js';
export { RunService, type RunOf } from './run-service.js';
export { commandAsStored, disowned, type Delivery, type PreparedRun } from './prepare.js';
export { Execution, NonRetryableError, WorkflowRunner } from './runner.js';
export { DECLARED, Schedule, declaredSchedules, type DeclaredSchedule, type ScheduleDeclaration } from './schedule.js';
export { resolveRetry, retryDelayMs, settle, type Outcome, type RetryOptions, type RetryPolicy, type Settlement } from './settle.js';
export { Subscriptions, type WorkflowBinding } from './subscriptions.js';
export { framesOf, isA, reasonOf, textOf } from './thrown.js';
export { useOutcome, type ResolvedChain } from './then.js';
export { payloadValidator, type PayloadValidator, type Validated } from './validation/payload-validator.js';
export type { UnknownFields } from './validation/plan.js';
export {
  Workflow,
  Workspace,
  workflowName,
  type Chain,
  type ChainDeclaration,
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
