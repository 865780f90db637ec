import { isAtLeast, type Config } from '@loopstack/jetstream';
import type { ResolvedStreamOptions } from './stream-options.js';

/** Nanoseconds in a millisecond. */
const NS = 1_000_000;

export interface DesiredStream {
  readonly config: Config & { readonly name: string; readonly subjects: readonly string[] };
  /** Fields that the guarantees need: workers update them where the server allows it. Others are only for creation. */
  readonly required: readonly string[];
}

/** What `max_msgs_per_subject` drops it drops also where `discard` is `new`; `no_ack` would leave publishers waiting. */
const COMMON: Config = { retention: 'limits', allow_direct: true, max_msgs_per_subject: -1, no_ack: false };

/**
 * The streams, as the options want them. Pure.
 * @param server its version: some fields came with one
 */
export function desiredStreams(options: ResolvedStreamOptions, server: string): readonly DesiredStream[] {
  const { names, events, dead } = options;
  const streams = [
    desired(options, {
      name: names.streams.events,
      subjects: names.captures.events,
      fixed: { discard: 'old', allow_atomic: true },
      optional: { max_age: events.maxAgeMs * NS, max_bytes: events.maxBytes },
    }),
    desired(options, {
      name: names.streams.dead,
      subjects: names.captures.dead,
      fixed: { discard: 'old' },
      optional: {
        max_age: (dead.maxAgeMs ?? 0) * NS,
        max_bytes: dead.maxBytes,
        duplicate_window: dead.maxAgeMs === undefined ? 86_400_000 * NS : undefined,
      },
    }),
  ];
  if (isAtLeast(server, [2, 12])) {
    streams.push(
      desired(options, {
        name: names.streams.schedules,
        subjects: names.captures.schedules,
        fixed: { discard: 'old', allow_msg_schedules: true, allow_msg_ttl: true },
        optional: {},
      }),
    );
  }
  return [...streams, runsStream(options, server)];
}

function runsStream(options: ResolvedStreamOptions, server: string): DesiredStream {
  const { names, runs } = options;
  const sources = [{ name: names.streams.schedules, subject_transforms: names.dueTransforms }];
  return desired(options, {
    name: names.streams.runs,
    subjects: names.captures.runs,
    // An age or a header of a producer must not drop queued commands.
    fixed: { discard: 'new', max_age: 0, allow_atomic: true, allow_rollup_hdrs: false, allow_msg_ttl: false },
    optional: {
      max_bytes: runs.maxBytes,
      max_msgs: runs.maxMessages,
      duplicate_window: runs.deduplicationMs * NS,
      allow_batched: isAtLeast(server, [2, 14]) ? true : undefined,
      sources: isAtLeast(server, [2, 12]) ? sources : undefined,
    },
  });
}

/** @param stream its `optional` fields are required where they have a value */
function desired(
  options: ResolvedStreamOptions,
  stream: { readonly name: string; readonly subjects: readonly string[]; readonly fixed: Config; readonly optional: Config },
): DesiredStream {
  const { name, subjects, fixed } = stream;
  const common: Config = { storage: options.storage, ...COMMON };
  const given: Config = Object.fromEntries(Object.entries(stream.optional).filter(([, value]) => value !== undefined));
  const replicas = options.replicas === undefined ? [] : ['num_replicas'];
  return {
    config: { num_replicas: options.replicas ?? 1, ...common, ...fixed, ...given, name, subjects },
    required: [...Object.keys(common), 'subjects', ...Object.keys(fixed), ...Object.keys(given), ...replicas],
  };
}
