export type { Catalogue, SchemaCheck } from './catalogue.js';
export { LoopstackClient } from './client.js';
export type { ClientOptions, UnsignedCommand } from './options.js';
export { Publisher, type PublisherOptions } from './publisher.js';
export type { PubAck } from './acknowledgement.js';
export type { Recurrence, Schedule, ScheduleOptions, Schedules } from './schedules.js';
export { EncodedHeaders, headerBlock, headerLines } from './header-block.js';
