import {
  durationMs,
  integerFrom,
  sizeBytes,
  wireNames,
  type CommandSigner,
  type Duration,
  type Size,
  type WireNames,
} from '@loopstack/shared';

/** Options of the in-memory broker. All optional. */
export interface MemoryBrokerOptions {
  /** First token of every subject. Default `loopstack`. */
  readonly prefix?: string;
  /** Messages that the broker holds: commands, events of runs, dead letters. More are refused (STREAM_FULL). Default 100,000. */
  readonly maxMessages?: number;
  /** Bytes of their bodies. Default 256 MiB. */
  readonly maxBytes?: Size;
  /** Largest message; that of nats-server by default, 1 MiB. */
  readonly maxPayload?: Size;
  /** How long `close()` waits, in real time, for runs that execute; then their `ctx.signal` is aborted. Default 200 ms. */
  readonly shutdownGrace?: Duration;
  /** Signs commands, for workspaces of `trust`. */
  readonly sign?: CommandSigner;
}

export interface ResolvedMemoryBrokerOptions {
  readonly names: WireNames;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxPayloadBytes: number;
  readonly shutdownGraceMs: number;
  readonly sign: CommandSigner | undefined;
}

/** @throws LoopstackError OPTION_INVALID, NAME_INVALID */
export function resolveMemoryBrokerOptions(given: MemoryBrokerOptions): ResolvedMemoryBrokerOptions {
  return Object.freeze({
    names: wireNames(given.prefix),
    maxMessages: integerFrom('maxMessages', 1, given.maxMessages ?? 100_000),
    maxBytes: sizeBytes('maxBytes', given.maxBytes ?? '256MiB'),
    maxPayloadBytes: sizeBytes('maxPayload', given.maxPayload ?? '1MiB'),
    shutdownGraceMs: durationMs('shutdownGrace', given.shutdownGrace ?? '200ms'),
    sign: given.sign,
  });
}
