export type { NatsConnection } from 'nats';
export { Bucket, type BucketOptions } from './bucket.js';
export { NATS_CONNECTION } from './connection.js';
export { DeadLetters, type DeadLetterFilter, type DeadLetterReport, type DeadLetterSelection } from './dead-letters.js';
export type { HealthResult } from './health.js';
export { LoopstackHealth } from './loopstack-health.js';
export { NatsModule, type NatsAsyncOptions } from './module.js';
export type { NatsOptions } from './options.js';
export { JetStreamServer, type JetStreamServerEvents, type JetStreamServerStatus } from './server.js';
