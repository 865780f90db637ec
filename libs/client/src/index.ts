export type { Catalogue } from './catalogue.js';
export { LoopstackClient } from './client.js';
export { ambiguous } from './run-addresses.js';
export type { ClientOptions, SchemaCheck } from './options.js';
export { commandSigner, type CommandSigner, type UnsignedCommand } from '@loopstack/shared/contract';
export { PacedRead } from './paced-read.js';
export { Releases, type FoundNotice, type SharedWorkflow } from './releases.js';
export { ServerClock } from './server-clock.js';
export { Publisher, type PublisherOptions } from './publisher.js';
export { NO_PLACE, type PubAck } from './acknowledgement.js';
export type { Schedules } from './schedules.js';
export { askedAgain, hasOtherServers, inboxOf, mayReconnect, reconnectElsewhere, steadyDials } from './connection.js';
export { FrameWriter } from './frames.js';
export { headerBlock, headerLines, signedLines } from './header-block.js';
export type {
  Recurrence,
  RunFailure,
  RunManyOptions,
  RunManyProgress,
  RunManyReport,
  Schedule,
  ScheduleOptions,
} from '@loopstack/shared/contract';
export type { EncodedMessage, Receiver } from './pending.js';
