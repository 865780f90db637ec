export type { DeadLetterFilter, DeadLetterReport, DeadLetterSelection } from '@loopstack/shared/contract';
export { DeadLetters } from './dead/dead-letters.js';
export { ago, bytes, count, many, shownAddress, span } from './text.js';
export { diagnose } from './doctor/diagnose.js';
export type { Facts } from './doctor/facts.js';
export type { Finding } from './doctor/finding.js';
export { type Examined, gatherFacts } from './doctor/gather.js';
export { Digest, shownNames } from './dead/unserved-digest.js';
export { type BindingInfo, Bindings } from './deployment/bindings.js';
export { Deployment, type Queue } from './deployment/deployment.js';
export {
  CONSUMER_FIELDS,
  desiredConsumer,
  type DesiredConsumer,
  desiredConsumers,
  type DesiredConsumers,
  durableOf,
  filterOf,
  hasLanes,
  lanesFrom,
  leaseOf,
  leaseToKeep,
  pausedUntil,
  SPLIT_PAUSE_MS,
} from './deployment/desired-consumers.js';
export { type DesiredStream, desiredStreams } from './deployment/desired-streams.js';
export { drift } from './deployment/drift.js';
export type { ReplayProgress } from './replay/run/meter.js';
export type { ReplayExample, ReplayPreview } from './replay/preview.js';
export type { InvalidCommand, ReplayAction, ReplayCounts, ReplayReport, ReplayStatus } from './replay/replay-log.js';
export { type ReplayHooks, type ReplayPace, Replays, type ReplaysOptions } from './replay/replays.js';
export {
  type EventMapping,
  type PatchOperation,
  REPLAY_OUTCOMES,
  type ReplayCommand,
  type ReplayFunctions,
  type ReplayModule,
  type ReplayOutcome,
  type ReplayRequest,
} from './replay/request.js';
export { catalogueCheck } from './replay/select/catalogue-check.js';
export { schemaCheck } from './schema/schema-check.js';
export { resolveStreamOptions, type ResolvedStreamOptions, type StreamOptions } from './deployment/stream-options.js';
export type { RedriveAnswer } from './dead/request-redrive.js';
export type { PayloadCheck } from './replay/select/command-selector.js';
export type { NatsConnectionLike } from '@loopstack/jetstream';
