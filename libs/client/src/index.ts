export type { NatsConnectionLike } from '@loopstack/jetstream';
export { commandSigner, type CommandSigner, type UnsignedCommand } from '@loopstack/shared/contract';
export type { Catalogue } from './catalogue/catalogue.js';
export { Releases, type FoundNotice, type SharedWorkflow } from './catalogue/releases.js';
export { LoopstackClient } from './client.js';
export type { ClientOptions, SchemaCheck } from './options.js';
export { ambiguous } from './runs/run-addresses.js';
export type { Schedules } from './start/schedules.js';
export type {
  Recurrence,
  RunFailure,
  RunManyOptions,
  RunManyProgress,
  RunManyReport,
  Schedule,
  ScheduleOptions,
} from '@loopstack/shared/contract';
