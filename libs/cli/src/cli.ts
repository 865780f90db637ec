import { withRemedy } from '@loopstack/jetstream';
import { LoopstackError } from '@loopstack/shared/contract';
import { CommanderError, type Command } from 'commander';
import { EXIT, type ExitCode } from './exit.js';
import { Session } from './session.js';
import { readSettings, wantsColor, type ConnectionFlags, type Settings } from './settings.js';
import { Terminal, type Streams } from './terminal.js';

/** The options that every command takes. */
export interface GlobalFlags extends ConnectionFlags {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly color?: boolean;
}

/** One invocation of a command. */
export interface Invocation<Options> {
  readonly options: Options & GlobalFlags;
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly streams: Streams;
  /** Aborted by the first Ctrl-C or SIGTERM, from the moment that a command asks for it; without it they end the process. */
  readonly signal: AbortSignal;
  /** Opened when it is first asked for, closed at the end. `anyServer`: also to one that is too old to be worked with. */
  readonly session: (anyServer?: boolean) => Promise<Session>;
}

/** What a command does; its exit code, or undefined for DONE. */
export type Work<Options, Args extends readonly unknown[]> = (invocation: Invocation<Options>, ...args: Args) => Promise<ExitCode | void>;

const RUN_ENDED_BADLY: ReadonlySet<string> = new Set(['RUN_FAILED', 'RUN_CANCELED', 'RUN_EXPIRED']);

/** What of an error the exit code says. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
  if (error instanceof LoopstackError && RUN_ENDED_BADLY.has(error.code)) return EXIT.RUN_FAILED;
  // The run was started, and goes on.
  if (error instanceof LoopstackError && error.code === 'RESULT_TIMEOUT') return EXIT.PARTLY;
  return EXIT.USAGE;
}

/** Runs commands: what all of them share, so that each is only what it does. */
export class Cli {
  readonly #streams: Streams;
  exitCode: ExitCode = EXIT.DONE;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  /** The action of a commander command. */
  action<Options, Args extends readonly unknown[] = []>(work: Work<Options, Args>): (...given: unknown[]) => Promise<void> {
    return async (...given) => {
      // Commander passes the arguments, the options, and the command.
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals<Options & GlobalFlags>();
      const terminal = this.terminal(options);
      const stop = new AbortController();
      const stopped = (): void => stop.abort();
      let listens = false;
      let session: Promise<Session> | undefined;
      try {
        const settings = readSettings(options);
        const open = (anyServer?: boolean): Promise<Session> => (session ??= Session.open(settings, anyServer));
        const invocation: Invocation<Options> = {
          options,
          terminal,
          settings,
          streams: this.#streams,
          session: open,
          get signal() {
            if (!listens) process.once('SIGINT', stopped).once('SIGTERM', stopped);
            listens = true;
            return stop.signal;
          },
        };
        this.exitCode = (await work(invocation, ...(given.slice(0, -2) as unknown as Args))) ?? EXIT.DONE;
      } catch (error) {
        const told = session === undefined ? error : await session.then(({ nc }) => withRemedy(nc, error)).catch(() => error);
        terminal.error(told);
        this.exitCode = exitCodeOf(told);
      } finally {
        process.off('SIGINT', stopped).off('SIGTERM', stopped);
        await session?.then((open) => open.close()).catch(() => undefined);
      }
    };
  }

  terminal(options: GlobalFlags): Terminal {
    const { json = false, yes = false, color } = options;
    return new Terminal(this.#streams, { json, yes, color: color !== false && wantsColor() });
  }
}
