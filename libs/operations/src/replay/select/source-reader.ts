import {
  HEADER,
  LoopstackError,
  decodeRunCommand,
  parseStrictJson,
  readDeadLetter,
  runIdOf,
  type DeadLetter,
  type HeaderReader,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared/contract';
import { wouldBeSigned } from '../../dead/dead-letters.js';
import type { ReplayCommand, ReplayMessage, ReplayOrigin } from '../request.js';
import { keptHeaders } from './kept-headers.js';
import type { ResolvedReplay } from './resolve.js';
import { Sample } from './sample.js';
import { invalid, skipped, type Candidate, type Selection } from './selection.js';
import type { ScannedMessage } from './stream-scan.js';

export interface SourceReaderOptions {
  readonly id: string;
  readonly replay: ResolvedReplay;
  readonly names: WireNames;
  /** The commands that it selects are signed. */
  readonly signs: boolean;
  /** Body of a message of another stream, for dead letters that only point to it; undefined: it is gone. */
  readonly bodyAt: (stream: string, sequence: number) => Promise<Uint8Array | undefined>;
}

/** What a message of the source holds, before its body is decoded. */
interface StoredCommand {
  readonly message: ScannedMessage;
  readonly address: RunAddress;
  readonly body: Uint8Array;
  readonly reader: HeaderReader;
  readonly headers: Iterable<readonly [string, string]>;
  readonly runId: (idempotencyKey: string | undefined) => string;
}

type Read = Selection<Candidate>;

const KEPT_ADDRESSES = 10_000;

/** The place of a candidate. Writes the time out only where it is read. */
class Origin implements ReplayOrigin {
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  readonly runId: string | undefined;
  readonly #timeMs: number;

  constructor(stream: string, { sequence, timeMs, subject }: ScannedMessage, runId: string | undefined) {
    this.stream = stream;
    this.sequence = sequence;
    this.subject = subject;
    this.runId = runId;
    this.#timeMs = timeMs;
  }

  get time(): string {
    return new Date(this.#timeMs).toISOString();
  }

  toJSON(): ReplayOrigin {
    const { stream, sequence, time, subject, runId } = this;
    return { stream, sequence, time, subject, runId };
  }
}

/** Reads the messages of a source and selects candidates by their contents. */
export class SourceReader {
  readonly #replay: ResolvedReplay;
  readonly #options: SourceReaderOptions;
  readonly #sample: Sample;
  readonly #addresses = new Map<string, RunAddress | undefined>();

  constructor(options: SourceReaderOptions) {
    this.#options = options;
    this.#replay = options.replay;
    this.#sample = new Sample(options.id, options.replay.sample);
  }

  /** A promise only where a body is elsewhere or a function of the user maps the message: a scan reads a million messages. */
  read(message: ScannedMessage): Read | Promise<Read> {
    const { sequence, timeMs } = message;
    const { sinceMs, untilMs, fromSequence, kind, includeReplayed } = this.#replay;
    if (sequence < fromSequence || (sinceMs !== undefined && timeMs < sinceMs) || timeMs > untilMs) return skipped(sequence);
    if (!this.#sample.has(sequence)) return skipped(sequence);
    const replayId = message.headers.get(HEADER.REPLAY_ID);
    // Its own output first: that must never pass, whatever the source is and the request allows.
    if (replayId === this.#options.id) return { sequence, kind: 'replayed' };
    if (kind === 'dead') return this.#dead(message);
    if (replayId !== undefined && !includeReplayed) return { sequence, kind: 'replayed' };
    return kind === 'runs' ? this.#run(message) : this.#event(message);
  }

  #run(message: ScannedMessage): Read {
    const { sequence, subject, headers } = message;
    const address = this.#addressOf(subject);
    if (!address) return invalid(sequence, new LoopstackError('NAME_INVALID', { what: 'subject', value: JSON.stringify(subject) }));
    if (!this.#isAddressed(address)) return skipped(sequence);
    const runId = (key: string | undefined): string => runIdOf(address, message, headers.get(HEADER.RUN_ID), key);
    return this.#decode({ message, address, body: message.data, reader: headers, headers, runId });
  }

  #dead(message: ScannedMessage): Read | Promise<Read> {
    const { sequence } = message;
    const { reason } = this.#replay;
    const address = this.#options.names.parseDead(message.subject);
    const letter = address && readDeadLetter(address, sequence, message.headers, message.data);
    if (!letter || !this.#isAddressed(address) || (reason !== undefined && letter.reason !== reason)) return skipped(sequence);
    if (this.#options.signs && letter.reason === 'untrusted' && reason === undefined) return invalid(sequence, wouldBeSigned());
    return letter.body ? this.#letter(message, letter, letter.body) : this.#pointedTo(message, letter);
  }

  async #pointedTo(message: ScannedMessage, letter: DeadLetter): Promise<Read> {
    const { stream, sequence } = letter;
    const body = await this.#options.bodyAt(stream, sequence);
    if (body) return this.#letter(message, letter, body);
    return invalid(message.sequence, new LoopstackError('COMMAND_LOST', { runId: `${stream}:${sequence}` }));
  }

  #letter(message: ScannedMessage, letter: DeadLetter, body: Uint8Array): Read {
    const reader: HeaderReader = { get: (name) => (Object.hasOwn(letter.headers, name) ? letter.headers[name] : undefined) };
    return this.#decode({ message, address: letter, body, reader, headers: Object.entries(letter.headers), runId: () => letter.runId });
  }

  #decode({ message, address, body, reader, headers, runId }: StoredCommand): Read {
    const { user, where, functions } = this.#replay;
    const { sequence } = message;
    const { workspace, workflow } = address;
    try {
      const { payload, userId, idempotencyKey } = decodeRunCommand(body, reader);
      if (user !== undefined && userId !== user) return skipped(sequence);
      if (where && !where(payload)) return skipped(sequence);
      const kept = keptHeaders(headers);
      const command: ReplayCommand = kept
        ? { workspace, workflow, payload, userId, headers: kept }
        : { workspace, workflow, payload, userId };
      const redriven = Number(reader.get(HEADER.REDRIVEN) ?? 0);
      return { sequence, kind: 'selected', command: { command, origin: this.#origin(message, runId(idempotencyKey)), redriven } };
    } catch (error) {
      // A command that cannot be read has no user and meets no predicate.
      if (user !== undefined || where || functions.where) return skipped(sequence);
      return invalid(sequence, error);
    }
  }

  #event(message: ScannedMessage): Read | Promise<Read> {
    const { map } = this.#replay;
    const origin = this.#origin(message, undefined);
    if (!map) return this.#eventByFunction(message, origin);
    try {
      return this.#mapped(map(parseStrictJson(message.data)), message, origin);
    } catch (error) {
      return invalid(message.sequence, error);
    }
  }

  async #eventByFunction(message: ScannedMessage, origin: ReplayOrigin): Promise<Read> {
    try {
      const command = await this.#replay.functions.map?.(replayMessage(message), origin);
      return command === undefined ? skipped(message.sequence) : this.#mapped(command, message, origin);
    } catch (error) {
      return invalid(message.sequence, error);
    }
  }

  /** Selects by the command that a mapping made of a message. */
  #mapped(command: ReplayCommand, { sequence, headers: given }: ScannedMessage, origin: ReplayOrigin): Read {
    const { user, where } = this.#replay;
    if (!this.#isAddressed(command) || (user !== undefined && command.userId !== user) || (where && !where(command.payload)))
      return skipped(sequence);
    const headers = command.headers ?? keptHeaders(given);
    return { sequence, kind: 'selected', command: { command: headers ? { ...command, headers } : command, origin, redriven: 0 } };
  }

  /** Subjects repeat: each is parsed once. */
  #addressOf(text: string): RunAddress | undefined {
    if (this.#addresses.has(text)) return this.#addresses.get(text);
    if (this.#addresses.size >= KEPT_ADDRESSES) this.#addresses.clear();
    const address = this.#options.names.parseRun(text);
    this.#addresses.set(text, address);
    return address;
  }

  #isAddressed({ workspace, workflow }: RunAddress): boolean {
    const replay = this.#replay;
    return (replay.workspace ?? workspace) === workspace && (replay.workflow ?? workflow) === workflow;
  }

  #origin(message: ScannedMessage, runId: string | undefined): ReplayOrigin {
    return new Origin(this.#replay.stream, message, runId);
  }
}

function replayMessage(message: ScannedMessage): ReplayMessage {
  return { data: message.data, json: () => parseStrictJson(message.data), header: (name) => message.headers.get(name) };
}
