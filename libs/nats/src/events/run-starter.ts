import type { Publisher, JetStreamApi } from '@loopstack/jetstream';
import { assertCauseDepth, type EventOutcome, type EventUse } from '@loopstack/core';
import {
  HEADER,
  LoopstackError,
  eventRunId,
  messageId,
  type CommandSigner,
  type Headers,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared';
import type { StoredEvent } from './event-message.js';

export const DONE: EventOutcome = { kind: 'done' };

/** Errors of what was to be published; any other one is the broker's, and passes. */
const OF_THE_EVENT: ReadonlySet<string> = new Set(['PAYLOAD_TOO_LARGE', 'OPTION_INVALID', 'CAUSE_TOO_DEEP']);

/**
 * Publishes the run commands of events. Message id and run id are derived from stream, sequence and workflow: within the
 * runs stream's deduplication window a second command is dropped by the server, later on the worker that gets it finds
 * the run claimed (docs/adr/0004).
 */
export class RunStarter {
  constructor(
    private readonly publisher: Publisher,
    private readonly names: WireNames,
    private readonly sign: CommandSigner | undefined,
    private readonly api: JetStreamApi,
    private readonly maxCauseDepth: number,
  ) {}

  async start(target: RunAddress, event: StoredEvent, use: EventUse, headers: Headers): Promise<EventOutcome> {
    if (use.kind === 'skip') return DONE;
    if (use.kind === 'invalid') return use;
    const { stream, sequence, timeMs } = event;
    const runId = eventRunId(target.workspace, target.workflow, stream, sequence, timeMs);
    try {
      // Here and not only in the worker: a run that fails of it could be what the circle is made of.
      assertCauseDepth(headers[HEADER.CAUSE_DEPTH], this.maxCauseDepth);
      const subject = this.names.run(target);
      const { command: data } = use;
      const all = {
        [HEADER.MSG_ID]: messageId(target, runId),
        [HEADER.RUN_ID]: runId,
        [HEADER.EVENT]: `${stream}:${sequence}`,
        ...headers,
      };
      await this.publisher.publish(subject, data, {
        ...all,
        ...this.sign?.({ subject, headers: all, data, nowMs: this.api.clock.nowMs() }),
      });
      return DONE;
    } catch (error) {
      if (!(error instanceof LoopstackError)) throw error;
      return { kind: OF_THE_EVENT.has(error.code) ? 'invalid' : 'unavailable', error };
    }
  }
}
