import {
  HEADER,
  LoopstackError,
  NO_HEADERS,
  changedMs,
  decodeRunCommand,
  infoOf,
  isWithin,
  newestFirst,
  queuedInfo,
  resolveRunFilter,
  runIdOf,
  type Headers,
  type QueuedCommand,
  type RunAddress,
  type RunFilter,
  type RunInfo,
  type RunReference,
} from '@loopstack/shared';
import type { MemoryBroker } from './memory-broker.js';
import type { MemorySchedules } from './memory-schedules.js';
import type { MemoryMessage } from './memory-stream.js';

/** A run that a test started, or that an event, a schedule or another run did. */
export interface StartedRun extends RunInfo {
  /** Undefined for a command that cannot be read. */
  readonly payload: unknown;
  readonly headers: Headers;
}

interface Command extends QueuedCommand {
  readonly payload: unknown;
  readonly headers: Headers;
}

/** What became of runs. */
export class RunState {
  constructor(
    private readonly broker: MemoryBroker,
    private readonly schedules: MemorySchedules,
  ) {}

  /** @throws LoopstackError RUN_UNKNOWN */
  get(run: RunReference): RunInfo {
    const last = this.broker.lastEvent(run, run.id)?.event;
    const command = this.#commandOf(run, last?.sequence);
    if (!last) {
      if (!command || this.broker.settled.has(command.sequence)) throw new LoopstackError('RUN_UNKNOWN', { runId: run.id });
      return queuedInfo(command);
    }
    const info = infoOf(run.id, { workspace: run.workspace, workflow: run.workflow, event: last });
    if (!command) return info;
    return {
      ...info,
      queuedAt: new Date(command.queuedAtMs).toISOString(),
      ...(command.userId === undefined ? {} : { userId: command.userId }),
    };
  }

  /** The address of a run of which only the id may be known. @throws LoopstackError RUN_UNKNOWN */
  find(run: string | RunReference): RunReference {
    if (typeof run === 'object') return run;
    const { names } = this.broker.options;
    for (const subject of this.broker.events.subjects) {
      const parsed = names.parseEvent(subject);
      if (parsed?.runId === run) return { workspace: parsed.workspace, workflow: parsed.workflow, id: run };
    }
    for (const { runId, workspace, workflow } of this.#commands()) if (runId === run) return { workspace, workflow, id: run };
    throw new LoopstackError('RUN_UNKNOWN', { runId: run });
  }

  /** @throws LoopstackError NAME_INVALID, OPTION_INVALID */
  list(filter: RunFilter): RunInfo[] {
    const { limit, statuses } = resolveRunFilter(filter);
    const { workspace, workflow, userId } = filter;
    const isListed = (info: RunInfo): boolean =>
      (workspace ?? info.workspace) === info.workspace &&
      (workflow ?? info.workflow) === info.workflow &&
      (statuses?.has(info.status) ?? true) &&
      (userId ?? info.userId) === info.userId &&
      isWithin(changedMs(info), filter);
    return this.all().filter(isListed).sort(newestFirst).slice(0, limit);
  }

  /** All runs, in the order in which their commands were stored; delayed ones last. */
  all(): StartedRun[] {
    const runs = new Map<string, StartedRun>();
    for (const command of this.#commands()) {
      const { workspace, workflow, runId: id, payload, headers } = command;
      const isForgotten = this.broker.settled.has(command.sequence) && !this.broker.lastEvent(command, id);
      // A redrive and a duplicate are commands of the same run.
      if (!isForgotten) runs.set(`${workspace}.${workflow}.${id}`, { ...this.get({ workspace, workflow, id }), payload, headers });
    }
    return [...runs.values()];
  }

  *#commands(): Generator<Command> {
    for (const message of this.broker.runs.messages) {
      const command = this.#read(message);
      if (command) yield command;
    }
    for (const delayed of this.schedules.delayed) yield { ...delayed, sequence: 0, headers: {} };
  }

  #commandOf(run: RunReference, sequence: number | undefined): Command | undefined {
    const stored = sequence === undefined ? this.broker.commandOf(run, run.id) : this.broker.runs.at(sequence);
    const command = stored && this.#read(stored);
    if (command) return command.runId === run.id ? command : undefined;
    const delayed = this.schedules.delayedOf(run, run.id);
    return delayed && { ...delayed, sequence: 0, headers: {} };
  }

  #read({ subject, sequence, timeMs, data, headers }: MemoryMessage): Command | undefined {
    const address: RunAddress | undefined = this.broker.options.names.parseRun(subject);
    if (!address) return undefined;
    const { workspace, workflow } = address;
    const stored = { workspace, workflow, sequence, queuedAtMs: timeMs, headers: headers.record };
    const given = headers.get(HEADER.RUN_ID);
    try {
      const { payload, userId, idempotencyKey } = decodeRunCommand(data, headers);
      return { ...stored, payload, userId, runId: runIdOf(address, { sequence, timeMs }, given, idempotencyKey) };
    } catch {
      // What cannot be read has the id that its dead letter has.
      const runId = runIdOf(address, { sequence, timeMs }, NO_HEADERS.get(HEADER.RUN_ID), undefined);
      return { ...stored, payload: undefined, runId };
    }
  }
}
