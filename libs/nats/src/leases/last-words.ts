import { writeSync } from 'node:fs';
import type { Session } from 'node:inspector';

/** How long a blocked main thread has to say where it is. Native code does not stop to answer. */
const ANSWER_MS = 1000;
const MAX_FRAMES = 12;

interface Frame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number | undefined };
}

/**
 * Looks into the main thread from a thread beside it, by the inspector that Node has built in: also one that is in a loop without an
 * end answers, at its next step.
 */
export class MainThread {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /** Undefined: this Node has no inspector. */
  static async look(): Promise<MainThread | undefined> {
    try {
      const { Session } = await import('node:inspector');
      const session = new Session();
      session.connectToMainThread();
      return new MainThread(session);
    } catch {
      return undefined;
    }
  }

  leave(): void {
    this.#session.disconnect();
  }

  /** Whether it may stand still because it is being debugged. */
  async isDebugged(): Promise<boolean> {
    return (await this.#evaluate(`String(process.getBuiltinModule('inspector').url())`)) !== 'undefined';
  }

  /** Stops it for good, and tells where: the innermost call first. Undefined: it does not answer. */
  async stop(): Promise<readonly string[] | undefined> {
    return withinMs<readonly string[]>(ANSWER_MS, (resolve) => {
      const files = new Map<string, string>();
      this.#session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
      this.#session.on('Debugger.paused', ({ params }) => {
        resolve(params.callFrames.slice(0, MAX_FRAMES).map((frame) => lineOf(frame, files.get(frame.location.scriptId))));
      });
      this.#session.post('Debugger.enable');
      this.#session.post('Debugger.pause');
    });
  }

  /** The first process of a container cannot be killed from within it: it has to go itself. */
  async exit(code: number): Promise<void> {
    await this.#evaluate(`process.reallyExit(${code})`);
  }

  /** Undefined where it does not answer. */
  #evaluate(expression: string): Promise<unknown> {
    return withinMs<unknown>(ANSWER_MS, (resolve) => {
      this.#session.post('Runtime.evaluate', { expression }, (error, answer) => resolve(error ? 'undefined' : answer.result.value));
    }).then((value) => value ?? 'undefined');
  }
}

function lineOf({ functionName, location }: Frame, file = 'unknown file'): string {
  return `    at ${functionName || '<anonymous>'} (${file}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1})`;
}

/** What `work` resolves with in time. */
async function withinMs<T>(ms: number, work: (resolve: (value: T) => void) => void): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const value = await new Promise<T | undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
    work(resolve);
  });
  clearTimeout(timer);
  return value;
}

/** Writes to stderr past the main thread, which carries what a thread prints. */
export function say(text: string): void {
  for (let tries = 0; tries < 10; tries++) {
    try {
      writeSync(2, text);
      return;
    } catch {
      // A pipe that is full just now.
    }
  }
}
