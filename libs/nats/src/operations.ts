/**
 * What operating a deployment needs, without a framework: the command line stands on it, and so may scripts.
 */
export { JetStreamApi, JetStreamApiError } from './jetstream-api.js';
export type { PayloadCheck } from './replay/judge.js';
export type { ReplayExample, ReplayPreview } from './replay/preview.js';
export type { InvalidCommand, ReplayAction, ReplayCounts, ReplayReport, ReplayStatus } from './replay/replay-log.js';
export type { ReplayProgress } from './replay/replay-runner.js';
export { Replays, type ReplayHooks, type ReplaysOptions } from './replay/replays.js';
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
