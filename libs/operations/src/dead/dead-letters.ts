import { ambiguous } from '@loopstack/client';
import { headerBlock, type Publisher, type JetStreamApi, type StoredMessage } from '@loopstack/jetstream';
import { requestRedrive } from './request-redrive.js';
import {
  HEADER,
  LoopstackError,
  assertPlace,
  decodeRunEvent,
  encodeRunEvent,
  readDeadLetter,
  type CommandSigner,
  type DeadLetter,
  type WireNames,
  headerLines,
  RedriveDecision,
  redriveHeaders,
  isSelected,
  workOnLetters,
  type DeadLetterFilter,
  type DeadLetterReport,
  type DeadLetterSelection,
} from '@loopstack/shared/contract';

/** Addresses that the refusal of an ambiguous id names. */
const NAMED_ADDRESSES = 5;

/**
 * What became of commands that could not be done: to look at, to redrive, to discard. Every step is safe to interrupt
 * and to repeat: a letter leaves its stream only after what replaces it is stored.
 */
export class DeadLetters {
  readonly #api: JetStreamApi;
  readonly #publisher: Publisher;
  readonly #names: WireNames;
  /** For workspaces whose workers demand signatures: an operator who redrives vouches for the command. */
  readonly #sign: CommandSigner | undefined;

  constructor(api: JetStreamApi, publisher: Publisher, names: WireNames, sign?: CommandSigner) {
    this.#api = api;
    this.#publisher = publisher;
    this.#names = names;
    this.#sign = sign;
  }

  /** Letters in the order in which they were given up. */
  async list(filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    for await (const letter of this.each({ limit: 100, ...filter })) letters.push(letter);
    return letters;
  }

  /** All letters that match and were there at the first step, one at a time: for more than fit in memory. */
  async *each(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetter> {
    assertPlace(filter);
    const subject = this.#names.dead({ workspace: filter.workspace ?? '*', workflow: filter.workflow ?? '*' });
    let left = filter.limit ?? Number.POSITIVE_INFINITY;
    if (left <= 0) return;
    const { dead } = this.#names.streams;
    // Letters that come meanwhile are another selection: those of redriven runs that fail again would never end.
    const to = (await this.#api.streamInfo(dead)).state.last_seq;
    for await (const stored of this.#api.scan(dead, subject, filter.since ? { fromTime: filter.since, to } : { to })) {
      const letter = this.#letter(stored);
      if (!letter || !isSelected(letter, stored.timeMs, filter)) continue;
      yield letter;
      if (--left === 0) return;
    }
  }

  /**
   * One letter, with the body of its command also where the letter only points to it. Where the letter has a redacted copy, that.
   * @throws LoopstackError DEAD_LETTER_UNKNOWN, COMMAND_LOST
   */
  async inspect(deadSequence: number): Promise<DeadLetter & { readonly body: Uint8Array }> {
    const letter = await this.#one(deadSequence);
    return { ...letter, body: letter.redacted ?? (await this.#command(letter)) };
  }

  /**
   * Gives an event that a binding could not use to that binding again, by a worker that declares it. Sends other commands
   * again: the same run, with its attempts counted anew and its history kept. The letter goes when the
   * new command is stored; interrupted in between and repeated, the run is started once. A run that has gone on since
   * (RUN_NOT_FAILED), or whose command the server does not take again, is left as it is, and so is its letter. With `sign`,
   * so is a letter of the reason `untrusted` that is neither named nor selected by that reason (UNTRUSTED).
   */
  async redrive(selection: DeadLetterSelection): Promise<DeadLetterReport> {
    const meant = typeof selection === 'number' || Array.isArray(selection) || (selection as DeadLetterFilter).reason === 'untrusted';
    return this.#workOn(selection, async (letter) => {
      if (this.#sign && letter.reason === 'untrusted' && !meant) throw wouldBeSigned();
      await this.#redriveOne(letter);
    });
  }

  /** Removes letters for good. */
  async discard(selection: DeadLetterSelection): Promise<DeadLetterReport> {
    return this.#workOn(selection, (letter) => this.#remove(letter.deadSequence));
  }

  async #workOn(selection: DeadLetterSelection, work: (letter: DeadLetter) => Promise<void>): Promise<DeadLetterReport> {
    if (typeof selection === 'object' && !Array.isArray(selection)) await this.#assertOneRun(selection as DeadLetterFilter);
    return workOnLetters(selection, { one: (deadSequence) => this.#one(deadSequence), each: (filter) => this.each(filter) }, work);
  }

  /** An id alone is not enough to act on: every user who may start runs in a workspace may use any id there. @throws LoopstackError RUN_AMBIGUOUS */
  async #assertOneRun(filter: DeadLetterFilter): Promise<void> {
    const { runId, workspace, workflow } = filter;
    if (runId === undefined || (workspace !== undefined && workflow !== undefined)) return;
    const found = new Set<string>();
    // Whatever the limit is: it may end before the other run.
    for await (const letter of this.each({ ...filter, limit: Number.POSITIVE_INFINITY })) {
      found.add(`${letter.workspace}.${letter.workflow}`);
      if (found.size === NAMED_ADDRESSES) break;
    }
    if (found.size > 1) throw ambiguous(runId, [...found]);
  }

  async #redriveOne(letter: DeadLetter): Promise<void> {
    const { streams } = this.#names;
    const data = await this.#command(letter);
    if (letter.binding !== undefined) {
      await requestRedrive(this.#api.nc, this.#names, letter, letter.binding);
      return this.#remove(letter.deadSequence);
    }
    const headers = redriveHeaders(letter, streams.dead);
    const subject = this.#names.parseRun(letter.subject) ? letter.subject : this.#names.run(letter);
    Object.assign(headers, this.#sign?.({ subject, headers, data, nowMs: this.#api.clock.nowMs() }));
    // A run is opened only for a command that can be written.
    const bytes = data.length + headerBlock(headerLines(headers)).length;
    const limit = this.#api.nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (bytes > limit) throw new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit });
    const opened = await this.#reopen(letter);
    if (opened === undefined) return this.#remove(letter.deadSequence);
    try {
      await this.#publisher.publish(subject, data, headers);
    } catch (error) {
      if (opened > 0 && isRefused(error)) await this.#forget(streams.events, opened).catch(() => undefined);
      throw error;
    }
    return this.#remove(letter.deadSequence);
  }

  /**
   * Records that the run is queued again, before its command is: a worker that gets the command at once must not find
   * the old outcome standing.
   * @returns sequence of that event, 0 if an earlier redrive recorded it; undefined if an earlier redrive of this letter has been run already
   * @throws LoopstackError RUN_NOT_FAILED
   */
  async #reopen(letter: DeadLetter): Promise<number | undefined> {
    const subject = this.#names.event(letter, letter.runId);
    let last = 0;
    const decision = new RedriveDecision(letter);
    for await (const stored of this.#api.scan(this.#names.streams.events, subject)) {
      last = stored.sequence;
      // What is no event says nothing of the run.
      const event = decodeRunEvent(stored.data);
      if (event) decision.seen(event);
    }
    const reopening = decision.decide();
    if (reopening !== 'reopen') return reopening === 'opened' ? 0 : undefined;
    const queued = encodeRunEvent({ type: 'queued', at: this.#api.clock.isoNow(), attempt: 0, redriveOf: letter.deadSequence });
    return (await this.#publisher.publish(subject, queued, { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: String(last) })).sequence;
  }

  #remove(deadSequence: number): Promise<void> {
    return this.#forget(this.#names.streams.dead, deadSequence);
  }

  async #forget(stream: string, sequence: number): Promise<void> {
    await this.#api.remove(stream, sequence);
  }

  /** @throws LoopstackError DEAD_LETTER_UNKNOWN */
  async #one(deadSequence: number): Promise<DeadLetter> {
    const stored = await this.#api.get(this.#names.streams.dead, { sequence: deadSequence });
    const letter = stored && this.#letter(stored);
    if (!letter) throw new LoopstackError('DEAD_LETTER_UNKNOWN', { sequence: deadSequence });
    return letter;
  }

  /** @throws LoopstackError COMMAND_LOST */
  async #command(letter: DeadLetter): Promise<Uint8Array> {
    if (letter.body) return letter.body;
    // A stream of an application may allow no direct gets, and a command may have headers that break them.
    const stored = await this.#api.getFromLeader(letter.stream, { sequence: letter.sequence });
    if (!stored) throw new LoopstackError('COMMAND_LOST', { runId: letter.runId });
    return stored.data;
  }

  #letter(stored: StoredMessage): DeadLetter | undefined {
    const address = this.#names.parseDead(stored.subject);
    return address && readDeadLetter(address, stored.sequence, stored.headers, stored.data);
  }
}

/** Refuses to sign a refused command among many: the operator would make it genuine without a look at it. */
export function wouldBeSigned(): LoopstackError {
  const reason = 'it was refused, and would be signed now; redrive its dead letter by its number, or select the reason untrusted';
  return new LoopstackError('UNTRUSTED', { reason });
}

/** Whether the server has said that it does not store a message; after a silence it may have. */
function isRefused(error: unknown): boolean {
  return error instanceof LoopstackError && ['PAYLOAD_TOO_LARGE', 'PUBLISH_REFUSED', 'STREAM_FULL'].includes(error.code);
}
