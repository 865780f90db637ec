import {
  durationMs,
  integerFrom,
  invalidOption,
  isSubjectFilter,
  sizeBytes,
  wireNames,
  type Duration,
  type Size,
  type WireNames,
} from '@loopstack/shared/contract';

/** Names and limits of the streams. All optional; sizes and counts that are not given are left as they are on the server. */
export interface StreamOptions {
  /** First token of every subject, and in upper case of every stream. Default `loopstack`. */
  readonly prefix?: string;
  /** Copies of each stream in a cluster, 1, 3 or 5. */
  readonly replicas?: number;
  /** Default `file`. Memory forgets on restart and is for tests. */
  readonly storage?: 'file' | 'memory';
  readonly runs?: {
    /** When it is full, publishes are refused (STREAM_FULL) and nothing queued is dropped. */
    readonly maxBytes?: Size;
    readonly maxMessages?: number;
    /** Time in which the server drops a second message with the same id. Default `'2m'`; the server's own is none for a stream with sources. */
    readonly deduplication?: Duration;
    /** Time that executed commands are kept for replay. Default `'7d'`. */
    readonly keepExecuted?: Duration;
    /**
     * Time that commands wait for the first worker of their workflow; then they are dead letters (`unroutable`). So they are at once where more
     * than 1,000 names wait. Default `'7d'`.
     */
    readonly unservedAfter?: Duration;
  };
  readonly events?: {
    /** Default `'30d'`. A run whose events are gone is forgotten. */
    readonly maxAge?: Duration;
    readonly maxBytes?: Size;
  };
  readonly dead?: {
    /** Default: for ever. */
    readonly maxAge?: Duration;
    readonly maxBytes?: Size;
  };
  /**
   * Keeps a stream (`<PREFIX>_INBOUND`) for the events of bindings that no other stream captures. It captures live
   * subjects then: who sends a request on one gets the stream's acknowledgement as the first answer. Default false: such
   * a binding stops the boot.
   */
  readonly inbound?:
    | boolean
    | {
        /** Captured beside the subjects of the bindings; wide ones spare updates. */
        readonly subjects?: readonly string[];
        /** Default `'7d'`. */
        readonly maxAge?: Duration;
        readonly maxBytes?: Size;
      };
}

export interface ResolvedStreamOptions {
  readonly names: WireNames;
  readonly replicas: number | undefined;
  readonly storage: 'file' | 'memory';
  readonly runs: {
    readonly maxBytes: number | undefined;
    readonly maxMessages: number | undefined;
    readonly deduplicationMs: number;
    readonly keepExecutedMs: number;
    readonly unservedAfterMs: number;
  };
  readonly events: { readonly maxAgeMs: number; readonly maxBytes: number | undefined };
  readonly dead: { readonly maxAgeMs: number | undefined; readonly maxBytes: number | undefined };
  readonly inbound: { readonly subjects: readonly string[]; readonly maxAgeMs: number; readonly maxBytes: number | undefined } | undefined;
}

const maybe = <T, R>(value: T | undefined, map: (value: T) => R): R | undefined => (value === undefined ? undefined : map(value));

function resolveInbound(given: NonNullable<StreamOptions['inbound']>): ResolvedStreamOptions['inbound'] {
  if (given === false) return undefined;
  const { subjects = [], maxAge = '7d', maxBytes } = given === true ? {} : given;
  for (const subject of subjects) {
    if (!isSubjectFilter(subject)) {
      throw invalidOption('inbound.subjects', 'subjects', subject);
    }
  }
  return { subjects, maxAgeMs: durationMs('inbound.maxAge', maxAge), maxBytes: maybe(maxBytes, (v) => sizeBytes('inbound.maxBytes', v)) };
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveStreamOptions(given: StreamOptions = {}): ResolvedStreamOptions {
  const { runs = {}, events = {}, dead = {} } = given;
  return {
    names: wireNames(given.prefix),
    replicas: maybe(given.replicas, (n) => integerFrom('replicas', 1, n)),
    storage: given.storage ?? 'file',
    runs: {
      maxBytes: maybe(runs.maxBytes, (v) => sizeBytes('runs.maxBytes', v)),
      maxMessages: maybe(runs.maxMessages, (n) => integerFrom('runs.maxMessages', 1, n)),
      deduplicationMs: durationMs('runs.deduplication', runs.deduplication ?? '2m'),
      keepExecutedMs: durationMs('runs.keepExecuted', runs.keepExecuted ?? '7d'),
      unservedAfterMs: durationMs('runs.unservedAfter', runs.unservedAfter ?? '7d'),
    },
    events: {
      maxAgeMs: durationMs('events.maxAge', events.maxAge ?? '30d'),
      maxBytes: maybe(events.maxBytes, (v) => sizeBytes('events.maxBytes', v)),
    },
    dead: {
      maxAgeMs: maybe(dead.maxAge, (v) => durationMs('dead.maxAge', v)),
      maxBytes: maybe(dead.maxBytes, (v) => sizeBytes('dead.maxBytes', v)),
    },
    inbound: resolveInbound(given.inbound ?? false),
  };
}
