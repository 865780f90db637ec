/**
 * What operating a deployment needs, without a framework: the command line stands on it, and so may scripts.
 */
export type { NatsConnection } from 'nats';
export { connectTo, type NatsAccess } from './access.js';
export { DeadLetters, type DeadLetterFilter, type DeadLetterReport, type DeadLetterSelection } from './dead-letters.js';
export { Deployment, type Queue } from './deployment.js';
export { Digest, type UnservedCommands } from './unserved-digest.js';
export { Bindings, type BindingInfo } from './events/bindings.js';
export { ServerVersion, desiredStreams, drift } from './desired-topology.js';
export { JetStreamApi, JetStreamApiError, type Config, type ConsumerInfo, type StreamInfo } from './jetstream-api.js';
export { resolveNatsOptions, type NatsOptions } from './options.js';
export { catalogueCheck } from './replay/catalogue-check.js';
export type { PayloadCheck } from './replay/judge.js';
export type { ReplayExample, ReplayPreview } from './replay/preview.js';
export type { InvalidCommand, ReplayAction, ReplayCounts, ReplayReport, ReplayStatus } from './replay/replay-log.js';
export type { ReplayProgress } from './replay/meter.js';
export { Replays, type ReplayHooks, type ReplayPace, type ReplaysOptions } from './replay/replays.js';
export type {
  EventMapping,
  PatchOperation,
  ReplayCommand,
  ReplayFunctions,
  ReplayMessage,
  ReplayModule,
  ReplayOrigin,
  ReplayOutcome,
  ReplayRequest,
} from './replay/request.js';
export { schemaCheck } from './schema-check.js';
export { StorageWatch } from './storage-watch.js';
