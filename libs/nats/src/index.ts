export type { NatsConnection } from 'nats';
export { Bucket, type BucketOptions, type NatsConnectionLike } from '@loopstack/jetstream';
export {
  Bindings,
  DeadLetters,
  Deployment,
  Replays,
  schemaCheck,
  type BindingInfo,
  type DeadLetterFilter,
  type DeadLetterReport,
  type DeadLetterSelection,
  type Queue,
  type ReplayCommand,
  type ReplayFunctions,
  type ReplayHooks,
  type ReplayPace,
  type ReplayPreview,
  type ReplayProgress,
  type ReplayReport,
  type ReplayRequest,
  type ReplaysOptions,
} from '@loopstack/operations';
export { JetStreamContext, type EventPatternOptions } from './events/event-handlers.js';
export type { HealthResult } from './health/health.js';
export { LoopstackHealth } from './health/loopstack-health.js';
export { NatsModule, type NatsAsyncOptions } from './module.js';
export type { NatsOptions, NatsRole } from './options.js';
export { InjectNats, InjectRunService, NATS_CONNECTION, natsToken } from './tokens.js';
export { JetStreamServer, type JetStreamServerEvents, type JetStreamServerStatus } from './server.js';
