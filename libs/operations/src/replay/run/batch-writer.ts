import { HEADER, messageId, monotonicMs, newRunId, signedLines } from '@loopstack/shared/contract';
import type { ResolvedReplay } from '../select/resolve.js';
import type { ReadyCommand } from '../select/selection.js';
import type { Checkpoint } from './checkpoint.js';
import type { WrittenCommand } from './command-batches.js';
import type { ReplayControl } from './control.js';
import type { Meter } from './meter.js';
import { Backlog, Rate, byAddress } from './pace.js';
import type { ReplayRecord } from './record.js';
import type { Tally } from './tally.js';
import type { ReplayTools } from './tools.js';

/** The state of the replay that a writer works for. */
export interface WriterState {
  readonly control: ReplayControl;
  readonly tally: Tally;
  readonly meter: Meter;
  readonly record: ReplayRecord;
}

/** Stores batches of commands, one after the other, at the pace of the request. The next batch is selected meanwhile. */
export class BatchWriter {
  readonly #id: string;
  readonly #replay: ResolvedReplay;
  readonly #tools: ReplayTools;
  readonly #state: WriterState;
  readonly #rate: Rate;
  readonly #backlog: Backlog | undefined;
  #inFlight: Promise<void> = Promise.resolve();

  constructor(id: string, replay: ResolvedReplay, tools: ReplayTools, state: WriterState) {
    this.#id = id;
    this.#replay = replay;
    this.#tools = tools;
    this.#state = state;
    this.#rate = new Rate(replay.rate);
    const { maxQueued, priority } = replay;
    this.#backlog = maxQueued === undefined ? undefined : new Backlog(tools.api, tools.names, priority, maxQueued);
  }

  /** Resolves when the last batch is stored or has failed. */
  idle(): Promise<void> {
    return this.#inFlight;
  }

  /** Begins to store commands, when the batch before them is stored. @returns false to stop */
  async write(commands: readonly ReadyCommand[]): Promise<boolean> {
    const { control, tally, record } = this.#state;
    if (commands.length > 0 && !(await this.#awaitCapacity(commands))) return false;
    await this.#inFlight;
    control.throwIfFailed();
    if (control.signal.aborted) return false;
    if (commands.length === 0) return true;
    const open = this.#replay.sameRun ? await this.#reopened(commands) : commands;
    const place = tally.flush(open.length, commands.length - open.length);
    const checkpoint = { token: newRunId(this.#tools.api.clock.nowMs()), ...place, workedMs: record.workedMs };
    if (open.length > 0) this.#inFlight = this.#store(open, checkpoint);
    return true;
  }

  /** Never rejects: a failure stops the work, and `write` throws it. */
  async #store(commands: readonly ReadyCommand[], checkpoint: Checkpoint): Promise<void> {
    const { control, tally, meter } = this.#state;
    try {
      const text = JSON.stringify(checkpoint);
      // Each try has message ids of its own, which no other message has. The checkpoint keeps it from being stored twice.
      await control.retryTransient(() =>
        this.#tools.batches.commit(
          commands.map((command) => this.#written(command)),
          text,
        ),
      );
      tally.store(commands.length, checkpoint);
      meter.stored(commands.length);
    } catch (error) {
      control.fail(error as Error);
    }
  }

  /** Opens runs again. @returns the commands of those that are open now */
  async #reopened(commands: readonly ReadyCommand[]): Promise<readonly ReadyCommand[]> {
    const runs = commands.map(({ command, origin }) => ({
      workspace: command.workspace,
      workflow: command.workflow,
      runId: origin.runId as string,
      token: `${this.#id}:${origin.sequence}`,
    }));
    const open = await this.#state.control.retryTransient(() => this.#tools.histories.reopen(runs));
    return commands.filter((_, index) => open.has(index));
  }

  /** Waits for what the rate and the queues allow. @returns false to stop */
  async #awaitCapacity(commands: readonly ReadyCommand[]): Promise<boolean> {
    const { control } = this.#state;
    if (this.#backlog) {
      // The batch that is under way is in no queue yet.
      await this.#inFlight;
      if (!(await this.#backlog.take(byAddress(commands), (ms) => control.wait(ms, 'queue')))) return false;
    }
    const waitMs = this.#rate.take(commands.length, monotonicMs());
    return waitMs === 0 || control.wait(waitMs, 'rate');
  }

  #written({ command, origin, redriven, data, lines }: ReadyCommand): WrittenCommand {
    const { names, sign, api } = this.#tools;
    const { sameRun, priority } = this.#replay;
    const id = this.#id;
    const subject = names.run(command, priority);
    const message = messageId(command, `replay-${id}-${origin.sequence}-${newRunId()}`);
    const of = origin.runId ?? `${origin.stream}:${origin.sequence}`;
    const nowMs = api.clock.nowMs();
    const runId = sameRun ? of : newRunId(nowMs);
    let all = `${HEADER.RUN_ID}: ${runId}\r\n${HEADER.REPLAY_ID}: ${id}\r\n${HEADER.REPLAY_OF}: ${of}\r\n${lines}`;
    // A run that is opened again has a history, which the worker must look at.
    if (sameRun) all += `${HEADER.REDRIVEN}: ${redriven + 1}\r\n`;
    if (sign) all = signedLines(sign, all, { subject, messageId: message, data, nowMs });
    return { subject, data, lines: `${HEADER.MSG_ID}: ${message}\r\n${all}` };
  }
}
