import type { RunContext } from '@loopstack/core';
import { existsSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** One line of the journal. ASCII only, so that a line is one write and bytes are characters. */
export interface Entry {
  /** `start`: the workflow was called; `effect`: its work is done; `aborted`: `ctx.signal` fired, `note` says why. */
  readonly kind: 'start' | 'effect' | 'aborted';
  readonly run: string;
  readonly attempt: number;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly workflow: string;
  readonly note?: string;
}

/** What a run does: the payload of the rig's workflows. */
export interface Job {
  /** Default `ok`. */
  readonly do?: keyof typeof BEHAVIOURS;
  /** For how long, where that means something. */
  readonly ms?: number;
  /** Path of a file for which `hold` waits. */
  readonly gate?: string;
  readonly first?: string;
  /** `fail-first`: attempts that fail; `progress`: times that it tells of it. */
  readonly failures?: number;
  /** `big`: bytes of the result; `leak`: bytes that are kept. */
  readonly bytes?: number;
  readonly note?: string;
}

export class JournalWriter {
  readonly #fd: number;

  constructor(file: string) {
    // O_APPEND: entries of many processes do not overwrite or mix with each other.
    this.#fd = openSync(file, 'a');
  }

  write(kind: Entry['kind'], ctx: RunContext, note?: string): void {
    const entry: Entry = {
      kind,
      run: ctx.runId,
      attempt: ctx.attempt,
      pid: process.pid,
      at: Date.now(),
      workflow: ctx.workflow,
      ...(note === undefined ? {} : { note: note.slice(0, 100) }),
    };
    writeSync(this.#fd, `${JSON.stringify(entry).replace(/[^\u0020-\u007e]/g, '?')}\n`);
  }
}

/** An unusual thing to throw: no Error, and not to be written as JSON. */
function strange(): unknown {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  return circular;
}

const leaked: unknown[] = [];

const evil = (): never => {
  throw new Error('evil');
};

type Behaviour = (job: Job, ctx: RunContext) => unknown;

const BEHAVIOURS = {
  ok: () => undefined,
  slow: ({ ms = 1000 }, { signal }) => delay(ms, undefined, { signal }),
  /** Tells of its progress between two files that it waits for. */
  'progress-then-hold': async ({ first = '', gate = '' }, ctx) => {
    while (!existsSync(first)) await delay(20, undefined, { signal: ctx.signal });
    await ctx.progress(1);
    while (!existsSync(gate)) await delay(20, undefined, { signal: ctx.signal });
  },
  /** Does not look at its signal. */
  stubborn: ({ ms = 1000 }) => delay(ms),
  /** Waits for a file: the test decides when the run goes on. */
  hold: async ({ gate = '' }, { signal }) => {
    while (!existsSync(gate)) await delay(20, undefined, { signal });
  },
  /** Waits for a file in the first attempt only. */
  'hold-first': async ({ gate = '' }, { signal, attempt }) => {
    while (attempt === 1 && !existsSync(gate)) await delay(20, undefined, { signal });
  },
  block: ({ ms = 1000 }) => {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
  throw: () => {
    throw new Error('boom');
  },
  /** A message that would forge a line of the log, and ring the terminal's bell. */
  'throw-forged': () => {
    throw new Error('boom\u0007\r\n[Nest] 1  - LOG everything is fine\u001b[2J');
  },
  'throw-text': () => {
    throw 'only text';
  },
  'throw-strange': () => {
    throw strange();
  },
  'reject-undefined': () => Promise.reject(undefined),
  'reject-null': async () => {
    await delay(1);
    throw null;
  },
  'reject-unreadable': async () => {
    await delay(1);
    throw Object.defineProperty(new Error('x'), 'message', { get: evil });
  },
  'reject-proxy': async () => {
    await delay(1);
    throw new Proxy(new Error('x'), { getPrototypeOf: evil, get: evil });
  },
  'throw-odd': () => {
    throw Object.assign(new Error('boom'), { name: 42, stack: ['no text'] });
  },
  never: () => new Promise(() => undefined),
  'reject-late': async ({ ms = 1000 }) => {
    await delay(ms);
    throw new Error('too late');
  },
  'fail-first': ({ failures = 1 }, { attempt }) => {
    if (attempt <= failures) throw new Error(`attempt ${attempt} fails`);
  },
  'fail-then-hold': async ({ failures = 1, gate = '' }, { attempt, signal }) => {
    if (attempt <= failures) throw new Error(`attempt ${attempt} fails`);
    while (!existsSync(gate)) await delay(20, undefined, { signal });
  },
  kill: () => process.kill(process.pid, 'SIGKILL'),
  /** Some time after it has begun, in each attempt. */
  'kill-late': async ({ ms = 1000 }) => {
    await delay(ms);
    process.kill(process.pid, 'SIGKILL');
  },
  /** Holds in the first attempt, and takes its time in later ones. */
  'slow-again': ({ ms = 1000 }, { signal, attempt }) => delay(attempt === 1 ? 3_600_000 : ms, undefined, { signal }),
  'kill-first': ({ failures = 1 }, { attempt }) => {
    if (attempt <= failures) process.kill(process.pid, 'SIGKILL');
  },
  abort: () => process.abort(),
  /** As native code does that writes where it may not. */
  crash: () => process.kill(process.pid, 'SIGSEGV'),
  /** Never yields. */
  spin: () => {
    for (;;);
  },
  /** Never yields either, after it has. */
  'spin-later': async () => {
    await delay(20);
    for (;;);
  },
  /** Blocks in native code: nothing in the process can interrupt it. */
  'block-natively': () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  allocate: () => {
    for (const kept: unknown[] = []; ;) kept.push(Array.from({ length: 10_000 }, () => ({})));
  },
  /** Outside of the heap of JavaScript, and with pauses. */
  'allocate-outside': async () => {
    for (const kept: Buffer[] = []; ;) {
      kept.push(Buffer.alloc(32 * 1024 * 1024, 1));
      await delay(1);
    }
  },
  exit: () => process.exit(3),
  /** An error that nobody catches ends a Node process. */
  uncaught: () => {
    setImmediate(() => {
      throw new Error('uncaught');
    });
    return new Promise(() => undefined);
  },
  progress: async ({ failures = 1 }, ctx) => {
    for (let i = 0; i < failures; i++) await ctx.progress({ step: i });
  },
  leak: ({ bytes = 0 }) => {
    leaked.push(
      new Float64Array(0),
      Array.from({ length: bytes / 8 }, (_, i) => i + 0.5),
    );
  },
  big: ({ bytes = 0 }) => 'x'.repeat(bytes),
} satisfies Record<string, Behaviour>;

/** Runs a job and keeps the journal of it. */
export async function behave(journal: JournalWriter, job: Job, ctx: RunContext): Promise<unknown> {
  journal.write('start', ctx, job.note);
  ctx.signal.addEventListener('abort', () => journal.write('aborted', ctx, (ctx.signal.reason as { code?: string }).code), { once: true });
  const result: unknown = await BEHAVIOURS[job.do ?? 'ok'](job, ctx);
  // As a workflow should: no effect once its signal says that the run is no longer its own.
  if (job.do !== 'stubborn') ctx.signal.throwIfAborted();
  journal.write('effect', ctx, job.note);
  return result;
}
