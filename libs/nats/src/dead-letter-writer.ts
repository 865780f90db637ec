import type { Publisher } from '@loopstack/client';
import { HEADER, deadLetterHeaders, type DeadLetterFacts, type RunAddress, type WireNames } from '@loopstack/shared';
import type { NatsConnection } from 'nats';

/** Bytes that the headers of a dead letter may take beyond those of its message. */
const HEADER_ROOM = 24 * 1024;

/** What a dead letter is written of: a command, or an event. */
export interface Original {
  readonly data: Uint8Array;
  readonly headers: Iterable<readonly [string, string]>;
}

/** Publishes dead letters. The same command and redrive is the same letter, however often it is written. */
export class DeadLetterWriter {
  constructor(
    private readonly nc: NatsConnection,
    private readonly publisher: Publisher,
    private readonly names: WireNames,
  ) {}

  async write(address: RunAddress, message: Original, facts: DeadLetterFacts): Promise<void> {
    const subject = this.names.dead(address);
    // One event may be a dead letter of many bindings.
    const whose = facts.binding === undefined ? '' : `${facts.binding}:`;
    const id = { [HEADER.MSG_ID]: `dead:${whose}${facts.stream}:${facts.sequence}` };
    const full = deadLetterHeaders(facts, message.headers, 'full');
    const size = message.data.length + Object.entries(full).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
    const limit = this.nc.info?.max_payload ?? 1024 * 1024;
    if (size + 256 <= limit) await this.publisher.publish(subject, message.data, { ...full, ...id });
    else await this.publisher.publish(subject, new Uint8Array(), { ...deadLetterHeaders(facts, this.fitting(message), 'pointer'), ...id });
  }

  /** The original headers as far as they leave room: a pointer leads to all of them. */
  private *fitting(message: Original): Iterable<readonly [string, string]> {
    let room = HEADER_ROOM;
    for (const entry of message.headers) {
      room -= entry[0].length + entry[1].length;
      if (room > 0) yield entry;
    }
  }
}
