import { currentCauseHeaders } from '@loopstack/core';
import {
  HEADER,
  LoopstackError,
  decodeRunEvent,
  encodeRunEvent,
  runIdSequence,
  type Headers,
  type Producing,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared';
import { Activity } from '../activity.js';
import { Capacity, MemoryStream, type MemoryMessage } from './memory-stream.js';
import type { ResolvedMemoryBrokerOptions } from '../options.js';
import { VirtualClock } from '../virtual-clock.js';

/** The last event of a run, and where it is. */
export interface LastEvent {
  readonly event: RunEvent;
  readonly sequence: number;
}

/** Streams, clock and activity: what the parts of the in-memory broker share. All bodies are bytes, as on the wire. */
export class MemoryBroker {
  readonly clock = new VirtualClock();
  readonly activity = new Activity();
  readonly runs: MemoryStream;
  readonly events: MemoryStream;
  readonly dead: MemoryStream;
  /** Events that applications publish. */
  readonly inbound: MemoryStream;
  readonly producing: Producing;
  /** Sequences of commands that are done with: a run of theirs without an event is forgotten. */
  readonly settled = new Set<number>();
  readonly #capacity: Capacity;

  constructor(readonly options: ResolvedMemoryBrokerOptions) {
    const { names, maxMessages, maxBytes, sign } = options;
    this.#capacity = new Capacity(maxMessages, maxBytes);
    const stream = (name: string): MemoryStream => new MemoryStream(name, () => this.clock.nowMs(), this.#capacity);
    this.runs = stream(names.streams.runs);
    this.events = stream(names.streams.events);
    this.dead = stream(names.streams.dead);
    this.inbound = stream(names.inbound);
    this.producing = { names, clock: this.clock, publishTimeoutMs: 0, context: currentCauseHeaders, sign };
  }

  /**
   * Stores what a producer publishes.
   * @throws LoopstackError PAYLOAD_TOO_LARGE, STREAM_FULL
   */
  publish(stream: MemoryStream, subject: string, data: Uint8Array, headers: Headers): { sequence: number; duplicate: boolean } {
    this.assertFits(data, headers);
    this.#capacity.assertRoom(stream.name);
    return stream.append(subject, data, headers);
  }

  /** @throws LoopstackError PAYLOAD_TOO_LARGE */
  assertFits(data: Uint8Array, headers: Headers): void {
    const { maxPayloadBytes: limit } = this.options;
    let bytes = data.length;
    for (const [name, value] of Object.entries(headers)) bytes += name.length + Buffer.byteLength(value) + 4;
    if (bytes > limit) throw new LoopstackError('PAYLOAD_TOO_LARGE', { bytes, limit });
  }

  /** @throws LoopstackError STREAM_FULL */
  assertRoom(stream: MemoryStream, messages = 1): void {
    this.#capacity.assertRoom(stream.name, messages);
  }

  /** Headers with the signature of the command, where this producer signs. */
  signed(subject: string, data: Uint8Array, headers: Headers): Headers {
    return { ...headers, ...this.options.sign?.({ subject, headers, data, nowMs: this.clock.nowMs() }) };
  }

  history(address: RunAddress, runId: string): readonly MemoryMessage[] {
    return this.events.of(this.options.names.event(address, runId));
  }

  lastEvent(address: RunAddress, runId: string): LastEvent | undefined {
    const last = this.history(address, runId).at(-1);
    const event = last && decodeRunEvent(last.data);
    return last && event && { event, sequence: last.sequence };
  }

  /** Records an event of a run. @returns its sequence */
  record(address: RunAddress, runId: string, event: RunEvent): number {
    return this.events.append(this.options.names.event(address, runId), encodeRunEvent(event)).sequence;
  }

  /** Where a run's command is, if the stream has it. */
  commandOf(address: RunAddress, runId: string): MemoryMessage | undefined {
    const sequence = runIdSequence(runId);
    if (sequence !== undefined) return this.runs.at(sequence);
    for (const priority of ['normal', 'high', 'low'] as const) {
      const found = this.runs
        .of(this.options.names.run(address, priority))
        .findLast((message) => message.headers.get(HEADER.RUN_ID) === runId);
      if (found) return found;
    }
    return undefined;
  }
}
