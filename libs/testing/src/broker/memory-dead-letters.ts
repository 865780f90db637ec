import {
  LoopstackError,
  RedriveDecision,
  assertPlace,
  decodeRunEvent,
  isSelected,
  readDeadLetter,
  redriveHeaders,
  workOnLetters,
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterReport,
  type DeadLetterSelection,
} from '@loopstack/shared';
import type { MemoryBroker } from './memory-broker.js';
import type { MemoryEvents } from './memory-events.js';
import type { MemoryMessage } from './memory-stream.js';

const LIST_LIMIT = 100;

/** Runs and events that could not be done: the same calls as `DeadLetters` of `@loopstack/nats`. */
export class MemoryDeadLetters {
  constructor(
    private readonly broker: MemoryBroker,
    private readonly events: MemoryEvents,
  ) {}

  /** Letters in the order in which they were given up, at most 100 unless the filter has a limit. */
  async list(filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    for await (const letter of this.each({ limit: LIST_LIMIT, ...filter })) letters.push(letter);
    return letters;
  }

  /** All letters that match and are there now. */
  async *each(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetter> {
    yield* await Promise.resolve(this.matching(filter));
  }

  /** As `each`, at once. @throws LoopstackError NAME_INVALID */
  matching(filter: DeadLetterFilter = {}): readonly DeadLetter[] {
    assertPlace(filter);
    const { workspace, workflow, limit = Number.POSITIVE_INFINITY } = filter;
    const found: DeadLetter[] = [];
    for (const message of this.broker.dead.messages) {
      if (found.length >= limit) break;
      const letter = this.#letter(message);
      if (!letter || !isSelected(letter, message.timeMs, filter)) continue;
      if ((workspace ?? letter.workspace) === letter.workspace && (workflow ?? letter.workflow) === letter.workflow) found.push(letter);
    }
    return found;
  }

  /** One letter, with the body of its command. @throws LoopstackError DEAD_LETTER_UNKNOWN, COMMAND_LOST */
  inspect(deadSequence: number): Promise<DeadLetter & { readonly body: Uint8Array }> {
    return new Promise((resolve) => {
      const letter = this.#one(deadSequence);
      resolve({ ...letter, body: letter.redacted ?? this.#bodyOf(letter) });
    });
  }

  /** Sends commands again, as the same runs, and gives events to their bindings again. */
  redrive(selection: DeadLetterSelection): Promise<DeadLetterReport> {
    return this.#workOn(selection, (letter) => this.#redrive(letter));
  }

  /** Removes letters for good. */
  discard(selection: DeadLetterSelection): Promise<DeadLetterReport> {
    return this.#workOn(selection, (letter) => this.broker.dead.remove(letter.deadSequence));
  }

  #workOn(selection: DeadLetterSelection, work: (letter: DeadLetter) => void | Promise<void>): Promise<DeadLetterReport> {
    return workOnLetters(selection, { one: (deadSequence) => this.#one(deadSequence), each: (filter) => this.each(filter) }, work);
  }

  async #redrive(letter: DeadLetter): Promise<void> {
    const { broker } = this;
    const { runs, dead, clock, options } = broker;
    const data = this.#bodyOf(letter);
    if (letter.binding !== undefined) {
      await this.#useAgain(letter, letter.binding, data);
      return dead.remove(letter.deadSequence);
    }
    const subject = options.names.parseRun(letter.subject) ? letter.subject : options.names.run(letter);
    const headers = broker.signed(subject, data, redriveHeaders(letter, dead.name));
    broker.assertFits(data, headers);
    broker.assertRoom(runs);
    const decision = new RedriveDecision(letter);
    for (const message of broker.history(letter, letter.runId)) {
      const event = decodeRunEvent(message.data);
      if (event) decision.seen(event);
    }
    const reopening = decision.decide();
    if (reopening === 'reopen')
      broker.record(letter, letter.runId, { type: 'queued', at: clock.isoNow(), attempt: 0, redriveOf: letter.deadSequence });
    if (reopening !== 'done') runs.append(subject, data, headers);
    dead.remove(letter.deadSequence);
  }

  async #useAgain({ stream, sequence }: DeadLetter, binding: string, data: Uint8Array): Promise<void> {
    const feed = this.events.find(binding);
    const event = (feed?.consumer.kind === 'then' ? this.broker.events : this.broker.inbound).at(sequence);
    if (!feed || !event) throw new LoopstackError('BINDING_UNAVAILABLE', { binding, reason: 'no worker consumes it now' });
    const outcome = await feed.handle({ ...event, stream, data, deliveries: 1 });
    if (outcome.kind === 'done') return;
    const { message: reason } = feed.redactor?.error(outcome.error, undefined) ?? outcome.error;
    throw new LoopstackError('EVENT_INVALID', { stream, sequence, binding, reason });
  }

  /** @throws LoopstackError COMMAND_LOST */
  #bodyOf({ body, stream, sequence, runId }: DeadLetter): Uint8Array {
    const { runs, events, inbound } = this.broker;
    const original = body ?? (stream === runs.name ? runs : stream === events.name ? events : inbound).at(sequence)?.data;
    if (!original) throw new LoopstackError('COMMAND_LOST', { runId });
    return original;
  }

  /** @throws LoopstackError DEAD_LETTER_UNKNOWN */
  #one(deadSequence: number): DeadLetter {
    const message = this.broker.dead.at(deadSequence);
    const letter = message && this.#letter(message);
    if (!letter) throw new LoopstackError('DEAD_LETTER_UNKNOWN', { sequence: deadSequence });
    return letter;
  }

  #letter({ subject, sequence, headers, data }: MemoryMessage): DeadLetter | undefined {
    const address = this.broker.options.names.parseDead(subject);
    return address && readDeadLetter(address, sequence, headers, data);
  }
}
