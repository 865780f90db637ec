import { BlockWatch } from './block-watch.js';
import { deliveryFacts, durableIn, type JetStreamApi } from '@loopstack/jetstream';
import { MainThread, say } from './last-words.js';
import type { LeaseTable } from './lease-table.js';

/** Silence after which the main thread is asked whether it is there: its timers may be those of a test. */
const ASK_AFTER_MS = 500;
/** Longest wait for the ids of the runs that execute. */
const NAMES_MS = 1000;
const MAX_NAMED = 8;
/** A signal that has not ended the process by then does not: it is the first one of a container. */
const SIGNAL_MS = 500;
/** What a shell says of a process that was killed. */
const KILLED = 137;

/** The way to a command's headers, once the thread is connected. */
export interface Commands {
  readonly api: JetStreamApi;
  readonly stream: string;
  readonly runIdHeader: string;
}

/**
 * Ends the process when its event loop has stood still for too long. Nothing in the process itself would: no timeout fires, no lease is
 * given up, and the next worker that got the run would stand still as well.
 */
export class ProcessGuard {
  readonly #table: LeaseTable;
  readonly #maxBlockedMs: number;
  readonly #ask: () => void;
  commands: Commands | undefined;
  readonly #watch = new BlockWatch();
  #timer: NodeJS.Timeout | undefined;
  /** Answers of the main thread. */
  #heard = 0;
  #ending = false;

  constructor(table: LeaseTable, maxBlockedMs: number, ask: () => void) {
    this.#table = table;
    this.#maxBlockedMs = maxBlockedMs;
    this.#ask = ask;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), Math.min(250, Math.floor(this.#maxBlockedMs / 4)));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  heard(): void {
    this.#heard++;
  }

  #look(): void {
    const silentMs = this.#watch.look(performance.now(), this.#table.beatAtMs + this.#heard);
    if (silentMs > Math.min(ASK_AFTER_MS, this.#maxBlockedMs / 2)) this.#ask();
    if (silentMs < this.#maxBlockedMs || this.#ending) return;
    this.#ending = true;
    void this.#end(silentMs).then(() => (this.#ending = false));
  }

  /** Comes back only where the process is being debugged. */
  async #end(silentMs: number): Promise<void> {
    const main = await MainThread.look();
    if (await main?.isDebugged()) {
      main?.leave();
      return;
    }
    const names = this.#names();
    const frames = await main?.stop();
    say(lastWords(silentMs, await names, frames));
    process.kill(process.pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, SIGNAL_MS));
    await main?.exit(KILLED);
  }

  /** The runs that execute. One of them it is, or the one that has none of these names: a run's id is in its command. */
  async #names(): Promise<readonly string[]> {
    const replies = this.#table.executing();
    const named = await Promise.all(replies.slice(0, MAX_NAMED).map((reply) => this.#name(reply)));
    return replies.length > MAX_NAMED ? [...named, `${replies.length - MAX_NAMED} more`] : named;
  }

  async #name(reply: string): Promise<string> {
    const { sequence } = deliveryFacts(reply);
    const place = `${durableIn(reply)}, command ${sequence}`;
    const { commands } = this;
    if (!commands) return place;
    const enough = new Promise<undefined>((resolve) => setTimeout(resolve, NAMES_MS, undefined));
    const command = await Promise.race([commands.api.getFromLeader(commands.stream, { sequence }).catch(() => undefined), enough]);
    const runId = command?.headers?.get(commands.runIdHeader);
    return runId ? `${place}, run ${runId}` : place;
  }
}

function lastWords(silentMs: number, runs: readonly string[], frames: readonly string[] | undefined): string {
  const where = frames ? `It stands at\n${frames.join('\n')}` : 'It stands in native code, which does not say where.';
  const what = runs.length > 0 ? `Of what runs, one blocks it: ${runs.join('; ')}.` : 'No workflow runs.';
  return [
    `loopstack: process ${process.pid} is ended (SIGKILL): its event loop has stood still for ${Math.round(silentMs / 1000)} s (maxBlocked). ${what}`,
    where,
    'What it ran has used an attempt and is a dead letter after the last one. Let the handler yield, or do its work in a worker thread; raise maxBlocked of NatsModule only for work that must block for longer.\n',
  ].join('\n');
}
