export * from './run/attempt.js';
export { catalogueEntry } from './declare/catalogue-entry.js';
export {
  assertCauseDepth,
  causeDepthOf,
  causeHeaders,
  causeOfEvent,
  currentCauseHeaders,
  headersFromEvent,
  withCause,
  type Cause,
} from './events/cause.js';
export { exchangedNames } from './declare/class-name.js';
export { CONTEXT_TYPE } from './declare/enhancers.js';
export {
  settleEvent,
  type EventOutcome,
  type EventPolicy,
  type EventSettlement,
  type EventTarget,
  type EventUse,
} from './events/event-use.js';
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
} from './events/feeds.js';
export { handOver } from './run/hand-over.js';
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
} from './events/on-event.js';
export { OnRun, type OnRunOptions, type Reaction } from './events/on-run.js';
export type { LoopstackOptions } from './options.js';
export { PriorityRotation } from './run/priority-rotation.js';
export { recordedError } from './run/recorded-error.js';
export { REDACTED, type RedactOptions, type RedactedRun, type Redactor } from './declare/redact.js';
export { WorkflowRegistry, type RegisteredWorkflow } from './declare/registry.js';
export type { AbortReason, RunContext } from './run/run-context.js';
export { payloadSchema } from './schema/payload-schema.js';
export { RunGateway, type ScheduleStore } from './run-gateway.js';
export { runNotice, type RunNotice } from './run/run-notice.js';
export { factsOfCommand, factsOfEvent, factsOfRun, originOf, redactedBody } from './run/run-record.js';
export type { HandlesOf, ItemsOf, WorkflowItem } from './run-items.js';
export { RunService, type RunOf } from './run-service.js';
export { commandAsStored, disowned, type Delivery, type PreparedRun } from './run/prepare.js';
export { Execution, NonRetryableError, WorkflowRunner } from './run/runner.js';
export { DECLARED, Schedule, declaredSchedules, type DeclaredSchedule, type ScheduleDeclaration } from './declare/schedule.js';
export { resolveRetry, retryDelayMs, settle, type Outcome, type RetryOptions, type RetryPolicy, type Settlement } from './run/settle.js';
export { Subscriptions, type WorkflowBinding } from './events/subscriptions.js';
export { framesOf, isA, reasonOf, textOf } from './run/thrown.js';
export { useOutcome, type ResolvedChain } from './events/then.js';
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
} from './declare/workflow.js';
export { Workers } from './workers.js';
