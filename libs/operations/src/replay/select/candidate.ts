import {
  HEADER,
  LoopstackError,
  decodeRunCommand,
  emptyHeaders,
  parseStrictJson,
  readDeadLetter,
  runIdOf,
  type HeaderReader,
  type Headers,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared/contract';
import { wouldBeSigned } from '../../dead/dead-letters.js';
import type { ReplayCommand, ReplayMessage, ReplayOrigin } from '../request.js';
import type { ResolvedReplay } from './resolve.js';
import type { ScannedMessage } from './stream-scan.js';

/** A command that may be replayed, decoded. */
export interface Candidate {
  readonly command: ReplayCommand;
  readonly origin: ReplayOrigin;
  /** Times that its run was redriven. */
  readonly redriven: number;
}

/** What a message of the source is, before any function of the user has seen it. */
export type Reading =
  | { readonly kind: 'candidate'; readonly candidate: Candidate }
  /** Not selected. */
  | { readonly kind: 'other' }
  /** Published by a replay. */
  | { readonly kind: 'replayed' }
  /** A message that a function is still to map; `mapped` selects by what comes out. */
  | { readonly kind: 'message'; readonly message: ScannedMessage; readonly origin: ReplayOrigin }
  /** A dead letter whose body is elsewhere: at this place. */
  | { readonly kind: 'pointer'; readonly stream: string; readonly sequence: number; readonly complete: (body: Uint8Array) => Reading }
  /** Selected, and no command: `error` tells why. */
  | { readonly kind: 'invalid'; readonly error: LoopstackError };

const KEPT_ADDRESSES = 10_000;

const OTHER: Reading = { kind: 'other' };
const REPLAYED: Reading = { kind: 'replayed' };

/** Headers that a new command takes from the old one: the producer's own, and what ties runs together. The rest acts again only where it is asked to. */
export function keptHeaders(headers: Iterable<readonly [string, string]>): Headers | undefined {
  let kept: Record<string, string> | undefined;
  for (const [name, value] of headers) {
    if (/^(nats-|ce-|traceparent$|tracestate$)/i.test(name) || (/^loopstack-/i.test(name) && !TIES.has(name))) continue;
    if (/^content-type$/i.test(name) && /cloudevents/i.test(value)) continue;
    kept ??= emptyHeaders();
    kept[name] = value;
  }
  return kept;
}

const TIES: ReadonlySet<string> = new Set([HEADER.CORRELATION_ID, HEADER.CAUSE, HEADER.CAUSE_DEPTH]);

/** Its time is written out only for those who look at it. */
class Origin implements ReplayOrigin {
  readonly sequence: number;
  readonly #timeMs: number;
  readonly subject: string;

  constructor(
    readonly stream: string,
    { sequence, timeMs, subject }: ScannedMessage,
    readonly runId: string | undefined,
  ) {
    this.sequence = sequence;
    this.#timeMs = timeMs;
    this.subject = subject;
  }

  get time(): string {
    return new Date(this.#timeMs).toISOString();
  }

  toJSON(): ReplayOrigin {
    const { stream, sequence, time, subject, runId } = this;
    return { stream, sequence, time, subject, runId };
  }
}

/** Reads the messages of a source and selects by what is in them. Decides without asking the server. */
export class SourceReader {
  readonly #seed: number;
  readonly #addresses = new Map<string, RunAddress | undefined>();

  constructor(
    private readonly id: string,
    private readonly replay: ResolvedReplay,
    private readonly names: WireNames,
    /** What it selects is signed. */
    private readonly signs: boolean,
  ) {
    this.#seed = hash(0x811c9dc5, id);
  }

  read(message: ScannedMessage): Reading {
    const { sequence, timeMs } = message;
    const { sample, sinceMs, untilMs, fromSequence } = this.replay;
    if (sequence < fromSequence || (sinceMs !== undefined && timeMs < sinceMs) || timeMs > untilMs) return OTHER;
    if (sample < 1 && hash(this.#seed, String(sequence)) / 2 ** 32 >= sample) return OTHER;
    const replayId = message.headers.get(HEADER.REPLAY_ID);
    // Its own output first: that must never pass, whatever the source is and the request allows.
    if (replayId === this.id) return REPLAYED;
    switch (this.replay.kind) {
      case 'runs':
        if (replayId !== undefined && !this.replay.includeReplayed) return REPLAYED;
        return this.#run(message);
      case 'dead':
        return this.#dead(message);
      case 'stream':
        if (replayId !== undefined && !this.replay.includeReplayed) return REPLAYED;
        return this.#event(message);
    }
  }

  #run(message: ScannedMessage): Reading {
    const address = this.#addressOf(message.subject);
    if (!address)
      return { kind: 'invalid', error: new LoopstackError('NAME_INVALID', { what: 'subject', value: JSON.stringify(message.subject) }) };
    if (!this.#isAddressed(address)) return OTHER;
    const { headers } = message;
    return this.#command(message, address, message.data, headers, headers, (key) =>
      runIdOf(address, message, headers.get(HEADER.RUN_ID), key),
    );
  }

  #dead(message: ScannedMessage): Reading {
    const address = this.names.parseDead(message.subject);
    const letter = address && readDeadLetter(address, message.sequence, message.headers, message.data);
    if (!address || !letter) return OTHER;
    if (!this.#isAddressed(address) || (this.replay.reason !== undefined && letter.reason !== this.replay.reason)) return OTHER;
    if (this.signs && letter.reason === 'untrusted' && this.replay.reason === undefined) return { kind: 'invalid', error: wouldBeSigned() };
    const reader: HeaderReader = { get: (name) => (Object.hasOwn(letter.headers, name) ? letter.headers[name] : undefined) };
    const complete = (body: Uint8Array): Reading =>
      this.#command(message, address, body, reader, Object.entries(letter.headers), () => letter.runId);
    if (letter.body) return complete(letter.body);
    return { kind: 'pointer', stream: letter.stream, sequence: letter.sequence, complete };
  }

  #command(
    message: ScannedMessage,
    { workspace, workflow }: RunAddress,
    body: Uint8Array,
    reader: HeaderReader,
    headers: Iterable<readonly [string, string]>,
    runId: (key: string | undefined) => string,
  ): Reading {
    const { user, where } = this.replay;
    try {
      const { payload, userId, idempotencyKey } = decodeRunCommand(body, reader);
      if (user !== undefined && userId !== user) return OTHER;
      if (where && !where(payload)) return OTHER;
      const kept = keptHeaders(headers);
      const command: ReplayCommand = kept
        ? { workspace, workflow, payload, userId, headers: kept }
        : { workspace, workflow, payload, userId };
      const redriven = Number(reader.get(HEADER.REDRIVEN) ?? 0);
      return { kind: 'candidate', candidate: { command, origin: this.#origin(message, runId(idempotencyKey)), redriven } };
    } catch (error) {
      // What cannot be read is no user's and meets no predicate.
      if (user !== undefined || where || this.replay.functions.where) return OTHER;
      return { kind: 'invalid', error: asLoopstackError(error) };
    }
  }

  #event(message: ScannedMessage): Reading {
    const { map } = this.replay;
    const origin = this.#origin(message, undefined);
    if (!map) return { kind: 'message', message, origin };
    try {
      return this.mapped(map(parseStrictJson(message.data)), message, origin);
    } catch (error) {
      return { kind: 'invalid', error: asLoopstackError(error) };
    }
  }

  /** Selects by what a mapping has made of a message. */
  mapped(made: ReplayCommand, message: ScannedMessage, origin: ReplayOrigin): Reading {
    const { user, where } = this.replay;
    if (!this.#isAddressed(made) || (user !== undefined && made.userId !== user) || (where && !where(made.payload))) return OTHER;
    const headers = made.headers ?? keptHeaders(message.headers);
    return { kind: 'candidate', candidate: { command: headers ? { ...made, headers } : made, origin, redriven: 0 } };
  }

  /** Subjects come again: each is parsed once. */
  #addressOf(text: string): RunAddress | undefined {
    if (this.#addresses.has(text)) return this.#addresses.get(text);
    if (this.#addresses.size >= KEPT_ADDRESSES) this.#addresses.clear();
    const address = this.names.parseRun(text);
    this.#addresses.set(text, address);
    return address;
  }

  #isAddressed({ workspace, workflow }: RunAddress): boolean {
    const { replay } = this;
    return (replay.workspace ?? workspace) === workspace && (replay.workflow ?? workflow) === workflow;
  }

  #origin(message: ScannedMessage, runId: string | undefined): ReplayOrigin {
    return new Origin(this.replay.stream, message, runId);
  }
}

/** What a mapping function is given. */
export function replayMessage(message: ScannedMessage): ReplayMessage {
  return { data: message.data, json: () => parseStrictJson(message.data), header: (name) => message.headers.get(name) };
}

export function asLoopstackError(error: unknown): LoopstackError {
  if (error instanceof LoopstackError) return error;
  let summary: string;
  try {
    summary = error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${typeof error}`;
  } catch {
    // Getters of what was thrown throw themselves.
    summary = 'it threw an error that cannot be read';
  }
  return new LoopstackError('COMMAND_INVALID', { summary }, { cause: error });
}

/** FNV-1a, 32 bits: spreads sequences evenly, the same in every process. */
function hash(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  // The last digit alone moves only low bits: mix them upwards (murmur3's finalizer).
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}
