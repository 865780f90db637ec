import { type JetStreamApi } from '@loopstack/jetstream';
import {
  LoopstackError,
  assertName,
  decodeRunCommand,
  encodeRunCommand,
  sequenceRunId,
  type RunAddress,
  type WireNames,
  headerLines,
} from '@loopstack/shared/contract';
import { wouldBeSigned } from '../../dead/dead-letters.js';
import { SourceReader, asLoopstackError, keptHeaders, replayMessage, type Candidate, type Reading } from './candidate.js';
import type { ReplayCommand, ReplayOrigin } from '../request.js';
import type { ResolvedReplay } from './resolve.js';
import { hasOutcome, type AskedRun, type RunHistories } from './run-histories.js';
import type { ScannedMessage } from './stream-scan.js';

/** What tells whether a workflow takes a payload; the catalogue of workflows is one, where workers publish it. */
export interface PayloadCheck {
  /** The reason why the command would be refused, or undefined. */
  check(command: RunAddress & { readonly payload: unknown }): LoopstackError | undefined | Promise<LoopstackError | undefined>;
}

/** A command that is to be published. */
export interface ReadyCommand {
  readonly origin: ReplayOrigin;
  readonly original: ReplayCommand;
  readonly command: ReplayCommand;
  readonly redriven: number;
  /** Its body. */
  readonly data: Uint8Array;
  /** Its own header lines. */
  readonly lines: string;
}

/** What becomes of one message of the source. */
export type Selection = { readonly sequence: number } & (
  | { readonly kind: 'other' | 'replayed' | 'dropped' }
  | { readonly kind: 'invalid'; readonly error: LoopstackError }
  | { readonly kind: 'ready'; readonly ready: ReadyCommand }
);

/** Room for the headers that a replay adds. */
const OWN_HEADERS_BYTES = 1024;

type Judged = Exclude<Reading, { kind: 'pointer' | 'message' }>;

/** Selects, transforms and checks commands: the same for a preview and for the replay itself. */
export class CommandSelector {
  readonly #reader: SourceReader;
  readonly #checksDepth: boolean;

  constructor(
    id: string,
    private readonly replay: ResolvedReplay,
    names: WireNames,
    private readonly api: JetStreamApi,
    private readonly histories: RunHistories,
    private readonly payloads: PayloadCheck | undefined,
    /** What it selects is signed. */
    private readonly signs: boolean,
  ) {
    this.#reader = new SourceReader(id, replay, names, signs);
    // A command as it was stored has been decoded already.
    this.#checksDepth = replay.kind === 'stream' || replay.patch !== undefined || replay.functions.transform !== undefined;
  }

  /**
   * One verdict for each message, in their order; undefined if `signal` comes first, because a function of the user may
   * never settle.
   * @throws JetStreamApiError where histories cannot be read
   */
  judge(messages: readonly ScannedMessage[], signal?: AbortSignal): Promise<readonly Selection[] | undefined> {
    const work = this.#judgeAll(messages);
    if (!signal) return work;
    return new Promise((resolve, reject) => {
      const stop = (): void => resolve(undefined);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  async #judgeAll(messages: readonly ScannedMessage[]): Promise<readonly Selection[]> {
    const readings: Judged[] = [];
    for (const message of messages) {
      let reading: Reading = this.#reader.read(message);
      if (reading.kind === 'pointer' || reading.kind === 'message') reading = await this.#complete(reading);
      readings.push(reading);
    }
    if (this.replay.outcome !== undefined) await this.#selectOutcomes(readings, messages);
    if (this.signs && this.replay.kind === 'runs') await this.#leaveOutRefused(readings, messages);
    const verdicts: Selection[] = [];
    for (const [i, { sequence }] of messages.entries()) {
      const reading = readings[i] as Judged;
      if (reading.kind === 'candidate') {
        const made = this.#make(reading.candidate, sequence);
        verdicts.push(made instanceof Promise ? await made : made);
      } else {
        verdicts.push({ sequence, ...reading });
      }
    }
    return verdicts;
  }

  async #complete(reading: Extract<Reading, { kind: 'pointer' | 'message' }>): Promise<Judged> {
    if (reading.kind === 'pointer') {
      const stored = await this.api.at(reading.stream, reading.sequence);
      if (stored) return reading.complete(stored.data) as Judged;
      return { kind: 'invalid', error: new LoopstackError('COMMAND_LOST', { runId: `${reading.stream}:${reading.sequence}` }) };
    }
    const { message, origin } = reading;
    try {
      const made = await this.replay.functions.map?.(replayMessage(message), origin);
      return made === undefined ? { kind: 'other' } : (this.#reader.mapped(made, message, origin) as Judged);
    } catch (error) {
      return { kind: 'invalid', error: asLoopstackError(error) };
    }
  }

  /** Replaces those that do not have the outcome asked for; one request for all of a list. */
  async #selectOutcomes(readings: Judged[], messages: readonly ScannedMessage[]): Promise<void> {
    const { outcome } = this.replay;
    if (outcome === undefined) return;
    const runs = readings.flatMap((reading) => (reading.kind === 'candidate' ? [askedRun(reading.candidate)] : []));
    const last = await this.histories.last(runs);
    for (const [i, reading] of readings.entries()) {
      if (reading.kind !== 'candidate') continue;
      const run = askedRun(reading.candidate);
      const event = last.get(this.histories.subject(run))?.event;
      const { sequence, subject } = messages[i] as ScannedMessage;
      const queued = outcome === 'never-ran' && (await this.histories.isQueued(run, laneOf(subject), sequence));
      if (!hasOutcome(outcome, event, sequence, queued)) readings[i] = { kind: 'other' };
    }
  }

  /** Replaces those that a worker has refused as untrusted: that is told of a run whose id is derived from the place of the command. */
  async #leaveOutRefused(readings: Judged[], messages: readonly ScannedMessage[]): Promise<void> {
    const runs = readings.map((reading, i) => {
      const { timeMs, sequence } = messages[i] as ScannedMessage;
      return reading.kind === 'candidate' ? { ...askedRun(reading.candidate), runId: sequenceRunId(timeMs, sequence) } : undefined;
    });
    const last = await this.histories.last(runs.filter((run) => run !== undefined));
    for (const [i, run] of runs.entries()) {
      const event = run && last.get(this.histories.subject(run))?.event;
      if (event?.error?.code === 'UNTRUSTED') readings[i] = { kind: 'invalid', error: wouldBeSigned() };
    }
  }

  #make(candidate: Candidate, sequence: number): Selection | Promise<Selection> {
    const { where, transform } = this.replay.functions;
    // The path without functions stays free of promises: it is walked a million times.
    if (where === undefined && transform === undefined) {
      try {
        return this.#check(candidate, this.#patched(candidate.command), sequence);
      } catch (error) {
        return { kind: 'invalid', sequence, error: asLoopstackError(error) };
      }
    }
    return this.#makeWithFunctions(candidate, sequence);
  }

  #patched(command: ReplayCommand): ReplayCommand {
    const { patch } = this.replay;
    // A patch is applied in place.
    return patch ? patch(structuredClone(command)) : command;
  }

  async #makeWithFunctions(candidate: Candidate, sequence: number): Promise<Selection> {
    const { functions } = this.replay;
    const { command, origin } = candidate;
    try {
      if (functions.where && !(await functions.where(command, origin))) return { kind: 'other', sequence };
      const patched = this.#patched(command);
      // A function may change what it is given, and what was is shown beside what comes of it.
      const changed = functions.transform ? await functions.transform(structuredClone(patched), origin) : patched;
      if (changed === undefined) return { kind: 'dropped', sequence };
      return await this.#check(candidate, changed, sequence);
    } catch (error) {
      return { kind: 'invalid', sequence, error: asLoopstackError(error) };
    }
  }

  /** The checks that a worker would make, before anything is published. */
  #check(candidate: Candidate, command: ReplayCommand, sequence: number): Selection | Promise<Selection> {
    const { workspace, workflow, payload, userId } = command;
    assertName('workspace', workspace);
    assertName('workflow', workflow);
    if (this.replay.sameRun && (workspace !== candidate.command.workspace || workflow !== candidate.command.workflow)) {
      const summary = 'a run that is opened again stays with its workspace and workflow';
      return { kind: 'invalid', sequence, error: new LoopstackError('COMMAND_INVALID', { summary }) };
    }
    const data = encodeRunCommand({ payload, userId });
    if (this.#checksDepth) decodeRunCommand(data);
    const kept = command.headers && keptHeaders(Object.entries(command.headers));
    const lines = kept ? headerLines(kept) : '';
    const bytes = data.length + lines.length + OWN_HEADERS_BYTES;
    const limit = this.api.nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (bytes > limit) return { kind: 'invalid', sequence, error: new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit }) };
    const ready: Selection = {
      kind: 'ready',
      sequence,
      ready: { origin: candidate.origin, original: candidate.command, command, redriven: candidate.redriven, data, lines },
    };
    if (!this.payloads) return ready;
    const refused = this.payloads.check({ workspace, workflow, payload });
    const verdict = (error: LoopstackError | undefined): Selection => (error ? { kind: 'invalid', sequence, error } : ready);
    return refused instanceof Promise ? refused.then(verdict) : verdict(refused);
  }
}

function askedRun({ command, origin }: Candidate): AskedRun {
  return { workspace: command.workspace, workflow: command.workflow, runId: origin.runId as string };
}

/** The lane in a subject of the runs stream. */
function laneOf(subject: string): 'high' | 'normal' | 'low' {
  const [, head, lane] = subject.split('.');
  return head === 'lane' && (lane === 'high' || lane === 'low') ? lane : 'normal';
}
