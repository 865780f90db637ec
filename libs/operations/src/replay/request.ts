import { OUTCOMES, type DeadReason, type Headers, type OutcomeType, type Priority, type RunAddress } from '@loopstack/shared/contract';

/**
 * What became of a run: its outcome, or `never-ran`: no attempt of it is recorded and it does not wait in its queue.
 * Runs of workflows that record nothing count as `never-ran`.
 */
export type ReplayOutcome = OutcomeType | 'never-ran';

export const REPLAY_OUTCOMES: readonly ReplayOutcome[] = [...OUTCOMES, 'never-ran'];

/** What is replayed and how, as plain JSON: it is kept with the replay, for its resumption and for the record. All optional. */
export interface ReplayRequest {
  /** Name of the replay. Default: one that is made up and sorts by time. */
  readonly id?: string;
  /** Default `runs`: the commands that the runs stream holds. `dead`: the dead letters. Another stream needs `map`. */
  readonly source?: 'runs' | 'dead' | { readonly stream: string };
  readonly workspace?: string;
  readonly workflow?: string;
  /** Subject filters on the source, instead of those that workspace and workflow make. They may not overlap. */
  readonly subjects?: readonly string[];
  /** ISO 8601; by the time at which the source stored the message. */
  readonly since?: string;
  readonly until?: string;
  readonly fromSequence?: number;
  readonly toSequence?: number;
  /** On whose behalf the run was. */
  readonly user?: string;
  /** Of runs only. */
  readonly outcome?: ReplayOutcome;
  /** Of dead letters only. */
  readonly reason?: DeadReason;
  /**
   * JSONPath (RFC 9535) on the payload: `$.items[?@.sku == 'x']` selects what it finds something in, `@.priority > 3`
   * what it is true of.
   */
  readonly where?: string;
  /** Share of the messages that is looked at, above 0 to 1; the same ones for the same replay id. */
  readonly sample?: number;
  /** Most commands that are selected. */
  readonly limit?: number;
  /** Selects also commands that another replay has published. Default false: they would double. */
  readonly includeReplayed?: boolean;
  /** Default `new-run`: a run with an id of its own that names the old one. `same-run`: the run that ended is opened again. */
  readonly as?: 'new-run' | 'same-run';
  /** How a message of another stream becomes a command. */
  readonly map?: EventMapping;
  /** JSON Patch (RFC 6902) on `{ workspace, workflow, payload, userId }`. */
  readonly patch?: readonly PatchOperation[];
  /** Commands published per second. Default: as fast as it goes. */
  readonly rate?: number;
  /** Waits while more commands than this wait for the workflow. */
  readonly maxQueued?: number;
  /** Lane of the new commands. Default `low`, so that live traffic keeps its latency where a workflow has lanes. */
  readonly priority?: Priority;
  /** Why, for the record. */
  readonly note?: string;
  /** Modules that the functions came from; for the record, and so that a resumption can tell that they are the same. */
  readonly modules?: Readonly<Partial<Record<keyof ReplayFunctions, ReplayModule>>>;
}

export interface ReplayModule {
  readonly path: string;
  readonly sha256: string;
}

/** One operation of a JSON Patch. */
export interface PatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** How the JSON body of an event becomes a command. */
export interface EventMapping extends RunAddress {
  /** On whose behalf, for all. */
  readonly user?: string;
  /** Or JSONPath to a string in the event. */
  readonly userPath?: string;
  /** JSONPath to the payload in the event. Default: the whole event. */
  readonly payloadPath?: string;
}

/** A command as predicates and transforms see it. */
export interface ReplayCommand extends RunAddress {
  readonly payload: unknown;
  readonly userId: string;
  /** The producer's own headers and the correlation id. */
  readonly headers?: Headers;
}

/** Where a command comes from. */
export interface ReplayOrigin {
  readonly stream: string;
  readonly sequence: number;
  /** ISO 8601. */
  readonly time: string;
  readonly subject: string;
  /** Undefined for a message of another stream. */
  readonly runId: string | undefined;
}

/** A message of another stream. */
export interface ReplayMessage {
  readonly data: Uint8Array;
  /** The body as JSON. @throws LoopstackError BODY_… */
  json(): unknown;
  header(name: string): string | undefined;
}

/** What cannot be written as JSON. Each may return a promise. */
export interface ReplayFunctions {
  /** Selects. Together with `where` of the request, both must hold. */
  readonly where?: (command: ReplayCommand, origin: ReplayOrigin) => boolean | Promise<boolean>;
  /** Makes a command of a message of another stream; undefined passes it over. */
  readonly map?: (message: ReplayMessage, origin: ReplayOrigin) => ReplayCommand | undefined | Promise<ReplayCommand | undefined>;
  /** Changes a command, after the patch of the request; undefined drops it. */
  readonly transform?: (command: ReplayCommand, origin: ReplayOrigin) => ReplayCommand | undefined | Promise<ReplayCommand | undefined>;
}
