import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { until } from '../until.js';
import type { Entry } from './worker/behaviour.js';

/**
 * The journal of effects, outside NATS: what workers did, whoever believes what. Workers append to it, each entry with
 * one write; this side reads what has been added.
 */
export class Journal {
  readonly #entries: Entry[] = [];
  #offset = 0;
  #rest = '';

  constructor(readonly file: string) {}

  /** All entries so far, in the order of writing. */
  get entries(): readonly Entry[] {
    this.#read();
    return this.#entries;
  }

  of(runId: string): readonly Entry[] {
    return this.entries.filter((entry) => entry.run === runId);
  }

  /** Run ids with their number of effects. */
  effects(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { kind, run } of this.entries) if (kind === 'effect') counts.set(run, (counts.get(run) ?? 0) + 1);
    return counts;
  }

  /** The first entry that fits, as soon as there is one. */
  find(what: string, fits: (entry: Entry) => boolean, deadlineMs?: number): Promise<Entry> {
    return until(`journal: ${what}`, () => this.entries.find(fits), deadlineMs);
  }

  started(runId: string, attempt = 1, deadlineMs?: number): Promise<Entry> {
    const fits = (entry: Entry): boolean => entry.kind === 'start' && entry.run === runId && entry.attempt === attempt;
    return this.find(`attempt ${attempt} of ${runId} has started`, fits, deadlineMs);
  }

  #read(): void {
    if (!existsSync(this.file)) return;
    const fd = openSync(this.file, 'r');
    try {
      const added = fstatSync(fd).size - this.#offset;
      if (added <= 0) return;
      const bytes = Buffer.alloc(added);
      const count = readSync(fd, bytes, 0, added, this.#offset);
      this.#offset += count;
      const lines = (this.#rest + bytes.toString('latin1', 0, count)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#entries.push(JSON.parse(line) as Entry);
    } finally {
      closeSync(fd);
    }
  }
}
