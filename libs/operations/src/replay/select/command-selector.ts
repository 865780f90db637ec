import type { JetStreamApi } from '@loopstack/jetstream';
import {
  LoopstackError,
  assertName,
  decodeRunCommand,
  encodeRunCommand,
  headerLines,
  sequenceRunId,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared/contract';
import { wouldBeSigned } from '../../dead/dead-letters.js';
import type { ReplayCommand } from '../request.js';
import { keptHeaders } from './kept-headers.js';
import type { ResolvedReplay } from './resolve.js';
import { hasOutcome, type AskedRun, type RunHistories } from './run-histories.js';
import { invalid, skipped, type Candidate, type Selection } from './selection.js';
import { SourceReader } from './source-reader.js';
import type { ScannedMessage } from './stream-scan.js';

/** Tells whether a workflow takes a payload; the catalogue of workflows does, where workers publish it. */
export interface PayloadCheck {
  /** The reason why the command would be refused, or undefined. */
  check(command: RunAddress & { readonly payload: unknown }): LoopstackError | undefined | Promise<LoopstackError | undefined>;
}

export interface CommandSelectorOptions {
  readonly id: string;
  readonly replay: ResolvedReplay;
  readonly names: WireNames;
  readonly api: JetStreamApi;
  readonly histories: RunHistories;
  readonly payloads: PayloadCheck | undefined;
  /** The commands that it selects are signed. */
  readonly signs: boolean;
}

/** Room for the headers that a replay adds. */
const OWN_HEADERS_BYTES = 1024;

/** Selects, transforms and checks commands: the same for a preview and for the replay itself. */
export class CommandSelector {
  readonly #options: CommandSelectorOptions;
  readonly #reader: SourceReader;
  readonly #checksDepth: boolean;

  constructor(options: CommandSelectorOptions) {
    const { api, replay } = options;
    this.#options = options;
    this.#reader = new SourceReader({ ...options, bodyAt: async (stream, sequence) => (await api.get(stream, { sequence }))?.data });
    // A command as it was stored has been decoded already.
    this.#checksDepth = replay.kind === 'stream' || replay.patch !== undefined || replay.functions.transform !== undefined;
  }

  /**
   * One selection for each message, in their order; undefined if `signal` comes first, because a function of the user may
   * never settle.
   * @throws JetStreamApiError where histories cannot be read
   */
  select(messages: readonly ScannedMessage[], signal?: AbortSignal): Promise<readonly Selection[] | undefined> {
    const work = this.#selectAll(messages);
    if (!signal) return work;
    return new Promise((resolve, reject) => {
      const stop = (): void => resolve(undefined);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  async #selectAll(messages: readonly ScannedMessage[]): Promise<readonly Selection[]> {
    const { replay, signs } = this.#options;
    const candidates: Selection<Candidate>[] = [];
    for (const message of messages) {
      const read = this.#reader.read(message);
      candidates.push(read instanceof Promise ? await read : read);
    }
    if (replay.outcome !== undefined) await this.#selectOutcomes(candidates, messages);
    if (signs && replay.kind === 'runs') await this.#refuseUntrusted(candidates, messages);
    const selections: Selection[] = [];
    for (const selection of candidates) {
      const made = selection.kind === 'selected' ? this.#makeReady(selection.command) : selection;
      selections.push(made instanceof Promise ? await made : made);
    }
    return selections;
  }

  /** Skips those that do not have the outcome asked for; one request for all of a list. */
  async #selectOutcomes(candidates: Selection<Candidate>[], messages: readonly ScannedMessage[]): Promise<void> {
    const { histories, names, replay } = this.#options;
    const { outcome } = replay;
    if (outcome === undefined) return;
    const runs = candidates.flatMap((selection) => (selection.kind === 'selected' ? [askedRun(selection.command)] : []));
    const last = await histories.last(runs);
    for (const [i, selection] of candidates.entries()) {
      if (selection.kind !== 'selected') continue;
      const run = askedRun(selection.command);
      const event = last.get(histories.subject(run))?.event;
      const { sequence, subject } = messages[i] as ScannedMessage;
      const queued = outcome === 'never-ran' && (await histories.isQueued(run, names.parseRun(subject)?.priority ?? 'normal', sequence));
      if (!hasOutcome(outcome, event, sequence, queued)) candidates[i] = skipped(sequence);
    }
  }

  /** Refuses commands that a worker refused as untrusted: it records that for the run id that derives from the command's place. */
  async #refuseUntrusted(candidates: Selection<Candidate>[], messages: readonly ScannedMessage[]): Promise<void> {
    const { histories } = this.#options;
    const runs = candidates.map((selection, i) => {
      const { timeMs, sequence } = messages[i] as ScannedMessage;
      return selection.kind === 'selected' ? { ...askedRun(selection.command), runId: sequenceRunId(timeMs, sequence) } : undefined;
    });
    const last = await histories.last(runs.filter((run) => run !== undefined));
    for (const [i, run] of runs.entries()) {
      const event = run && last.get(histories.subject(run))?.event;
      if (event?.error?.code === 'UNTRUSTED') candidates[i] = invalid((messages[i] as ScannedMessage).sequence, wouldBeSigned());
    }
  }

  #makeReady(candidate: Candidate): Selection | Promise<Selection> {
    const { where, transform } = this.#options.replay.functions;
    // The path without functions stays free of promises: a scan takes it a million times.
    if (where !== undefined || transform !== undefined) return this.#makeReadyByFunctions(candidate);
    try {
      return this.#check(candidate, this.#patched(candidate.command));
    } catch (error) {
      return invalid(candidate.origin.sequence, error);
    }
  }

  #patched(command: ReplayCommand): ReplayCommand {
    const { patch } = this.#options.replay;
    // A patch is applied in place.
    return patch ? patch(structuredClone(command)) : command;
  }

  async #makeReadyByFunctions(candidate: Candidate): Promise<Selection> {
    const { functions } = this.#options.replay;
    const { command, origin } = candidate;
    const { sequence } = origin;
    try {
      if (functions.where && !(await functions.where(command, origin))) return skipped(sequence);
      const patched = this.#patched(command);
      // A function may change its argument, and a preview shows the original beside the result.
      const changed = functions.transform ? await functions.transform(structuredClone(patched), origin) : patched;
      return changed === undefined ? { sequence, kind: 'dropped' } : await this.#check(candidate, changed);
    } catch (error) {
      return invalid(sequence, error);
    }
  }

  /** The checks that a worker would make, before anything is published. */
  #check(candidate: Candidate, command: ReplayCommand): Selection | Promise<Selection> {
    const { api, payloads, replay } = this.#options;
    const { origin, redriven, command: original } = candidate;
    const { workspace, workflow, payload, userId } = command;
    const { sequence } = origin;
    assertName('workspace', workspace);
    assertName('workflow', workflow);
    if (replay.sameRun && (workspace !== original.workspace || workflow !== original.workflow)) {
      const summary = 'a run that is opened again stays with its workspace and workflow';
      return invalid(sequence, new LoopstackError('COMMAND_INVALID', { summary }));
    }
    const data = encodeRunCommand({ payload, userId });
    if (this.#checksDepth) decodeRunCommand(data);
    const kept = command.headers && keptHeaders(Object.entries(command.headers));
    const lines = kept ? headerLines(kept) : '';
    const bytes = data.length + lines.length + OWN_HEADERS_BYTES;
    const limit = api.nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (bytes > limit) return invalid(sequence, new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit }));
    const ready: Selection = { sequence, kind: 'selected', command: { origin, original, command, redriven, data, lines } };
    if (!payloads) return ready;
    const refused = payloads.check({ workspace, workflow, payload });
    const checked = (error: LoopstackError | undefined): Selection => (error ? invalid(sequence, error) : ready);
    return refused instanceof Promise ? refused.then(checked) : checked(refused);
  }
}

function askedRun({ command, origin }: Candidate): AskedRun {
  return { workspace: command.workspace, workflow: command.workflow, runId: origin.runId as string };
}
