import { LoopstackError, assertName, type RunAddress } from '@loopstack/shared/contract';
import type { ResolvedClientOptions } from '../options.js';
import type { StoredCommand, StoredCommands } from './stored-command.js';
import type { StreamReader } from '@loopstack/jetstream';

/** Where a run is, and the sequence of its command; 0 if that is not known. */
interface FoundRun extends RunAddress {
  readonly sequence: number;
}

/** Addresses that an error names. */
const NAMED = 5;

/**
 * Finds the address of a run of which only the id is known. A user who may start runs in one workspace may use any id there, so an id that is found at
 * two addresses is ambiguous: the caller must name the address.
 */
export class RunAddresses {
  readonly #options: ResolvedClientOptions;
  readonly #reader: StreamReader;
  readonly #commands: StoredCommands;

  constructor(
    options: ResolvedClientOptions,
    reader: StreamReader,
    commands: StoredCommands,
    /** Whether a command is done with, so that its events have aged out if it has none. */
    private readonly settled: (command: StoredCommand) => Promise<boolean>,
  ) {
    this.#options = options;
    this.#reader = reader;
    this.#commands = commands;
  }

  /** @throws LoopstackError RUN_UNKNOWN, RUN_AMBIGUOUS, NAME_INVALID, STREAM_UNAVAILABLE */
  async of(runId: string): Promise<FoundRun> {
    assertName('run id', runId);
    const found = new Map<string, FoundRun>();
    const add = ({ workspace, workflow, sequence = 0 }: RunAddress & { readonly sequence?: number }): void =>
      void found.set(`${workspace}.${workflow}`, { workspace, workflow, sequence });
    for (const address of await this.#recorded(runId)) add(address);
    if (found.size < 2) for (const command of await this.#stored(runId, [...found.values()][0])) add(command);
    const [address] = found.values();
    if (address === undefined) throw new LoopstackError('RUN_UNKNOWN', { runId });
    if (found.size > 1) throw ambiguous(runId, [...found.keys()]);
    return address;
  }

  /** Addresses at which the run has events, by the subjects of the stream: its leader knows them all. */
  async #recorded(runId: string): Promise<readonly RunAddress[]> {
    const { names } = this.#options;
    const anywhere = { workspace: '*', workflow: '*' };
    const query = { subjects_filter: names.event(anywhere, runId) };
    const { events } = names.streams;
    const info = await this.#reader.call<{ state: { subjects?: Readonly<Record<string, number>> } }>(
      `STREAM.INFO.${events}`,
      query,
      events,
    );
    return Object.keys(info?.state.subjects ?? {}).flatMap((subject) => names.parseEvent(subject) ?? []);
  }

  /** Commands of the run that are not done with. @param known where it has events */
  async #stored(runId: string, known: RunAddress | undefined): Promise<readonly StoredCommand[]> {
    const kept: StoredCommand[] = [];
    for (const command of await this.#commands.findAll(runId, known)) {
      const isKnown = command.workspace === known?.workspace && command.workflow === known.workflow;
      if (isKnown || !(await this.settled(command))) kept.push(command);
    }
    return kept;
  }
}

/** @param runs addresses as text */
export function ambiguous(runId: string, runs: readonly string[]): LoopstackError {
  const named = runs
    .toSorted()
    .slice(0, NAMED)
    .map((address) => `${address}.${runId}`);
  const more = runs.length > NAMED ? ` and ${runs.length - NAMED} more` : '';
  return new LoopstackError('RUN_AMBIGUOUS', { runId, runs: `${named.join(' and ')}${more}`, addresses: runs.slice(0, NAMED) });
}
