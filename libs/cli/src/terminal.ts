import { LoopstackError, printable, printableJson } from '@loopstack/shared/contract';
import Table from 'cli-table3';
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';
import { UsageError } from './exit.js';

/** The streams of a process, or of a test. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

export interface TerminalOptions {
  /** One JSON document on standard output, or one a line where there are many; nothing for people. */
  readonly json: boolean;
  /** Answers every question. */
  readonly yes: boolean;
  readonly color: boolean;
}

export type Style = Parameters<typeof styleText>[0];

/** A text, or one with a style. */
export type Cell = string | readonly [text: string, style: Style];

/** A name, what it names, and in which style; undefined: not told. */
export type Fact = readonly [name: string, value: string | undefined, style?: Style];

/** Characters of a fact that are shown; results have up to 64 KiB. */
const MAX_FACT = 100_000;

/** A line that changes while something goes on. */
export interface Ticker {
  show(text: string): void;
  /** A line that stays, for what the user must do so that it goes on; also without a terminal, but not with `--json`. */
  say(text: string): void;
  stop(): void;
}

/**
 * What a command says. Results go to standard output; what is said besides goes to standard error, and only to a
 * terminal: a command whose output is piped is quiet.
 */
export class Terminal {
  readonly #streams: Streams;
  readonly options: TerminalOptions;

  constructor(streams: Streams, options: TerminalOptions) {
    this.#streams = streams;
    this.options = options;
  }

  get json(): boolean {
    return this.options.json;
  }

  /** A result: `value` with `--json`, else the text. */
  result(value: unknown, text: string | (() => string)): void {
    if (this.json) this.#out(printableJson(JSON.stringify(value, undefined, 2)));
    else this.#out(typeof text === 'string' ? text : text());
  }

  /** One of many results: a line of JSON, or of text. */
  line(value: unknown, text: string): void {
    this.#out(this.json ? printableJson(JSON.stringify(value)) : text);
  }

  /** Said besides the result. */
  note(text: string): void {
    if (this.#talks) this.#streams.stderr.write(`${text}\n`);
  }

  /** Columns without borders, cut to nothing. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
    const none = Object.fromEntries(BORDERS.map((name) => [name, '']));
    const table = new Table({
      head: head.map((text) => this.style('bold', text)),
      chars: { ...none, middle: '  ' },
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    });
    table.push(
      ...rows.map((row) =>
        row.map((cell) => (typeof cell === 'string' ? printable(cell, 200) : this.style(cell[1], printable(cell[0], 200)))),
      ),
    );
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  }

  /** Names and what they name, in two columns. Foreign text is on one line, without control characters. */
  facts(rows: readonly Fact[], width: number): string[] {
    return rows.flatMap(([name, value, style]) => {
      if (value === undefined) return [];
      const text = printable(value, MAX_FACT);
      return [`${name.padEnd(width)} ${style === undefined ? text : this.style(style, text)}`];
    });
  }

  /** Color on a terminal, the bare text elsewhere. */
  style(style: Style, text: string): string {
    return this.options.color && this.#streams.stdout.isTTY ? styled(style, text) : text;
  }

  /** @throws UsageError where there is no terminal and `--yes` was not given */
  async confirm(question: string): Promise<boolean> {
    if (this.options.yes) return true;
    const { stdin, stderr } = this.#streams;
    if (!stdin.isTTY) throw new UsageError(`${question} There is no terminal to answer`, 'Pass --yes to skip the question.');
    const prompt = createInterface({ input: stdin, output: stderr });
    try {
      return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim());
    } finally {
      prompt.close();
    }
  }

  /** Shows how something goes on, on a terminal. */
  async ticker(text: string): Promise<Ticker> {
    // Only where a line can be written over.
    const say = (line: string): void => void (this.json || this.#streams.stderr.write(`${line}\n`));
    if (!this.#talks || !('cursorTo' in this.#streams.stderr)) return { show: () => undefined, say, stop: () => undefined };
    const { default: ora } = await import('ora');
    const spinner = ora({
      text,
      stream: this.#streams.stderr as NodeJS.WriteStream,
      discardStdin: false,
      ...(this.options.color ? {} : { color: false }),
    }).start();
    return { show: (next) => (spinner.text = next), say: (line) => (spinner.clear(), say(line)), stop: () => spinner.stop() };
  }

  /** An error, with what to do about it. */
  error(error: unknown): void {
    const { message, fix, errors } = describe(error);
    if (this.json) {
      const code = error instanceof LoopstackError ? error.code : undefined;
      const told = { error: { code, message, fix, ...(errors.length > 0 ? { errors } : {}) } };
      this.#streams.stderr.write(`${printableJson(JSON.stringify(told))}\n`);
      return;
    }
    const red = this.options.color && this.#streams.stderr.isTTY ? styled('red', 'error:') : 'error:';
    // Errors of ours are on one line; what others said, or what was typed, may hold anything.
    this.#streams.stderr.write(`${red} ${printable(message, MAX_FACT)}\n`);
    for (const field of errors) {
      const text = `${field.path === '' ? 'payload' : field.path}: ${field.message} (received ${field.received})`;
      this.#streams.stderr.write(`  ${printable(text)}\n`);
    }
    if (fix !== undefined) this.#streams.stderr.write(`  ${printable(fix, MAX_FACT)}\n`);
  }

  get #talks(): boolean {
    return !this.json && this.#streams.stderr.isTTY === true;
  }

  #out(text: string): void {
    this.#streams.stdout.write(`${text}\n`);
  }
}

/** Whether there is color was decided; Node would look at the standard output of this process again. */
const styled = (style: Style, text: string): string => styleText(style, text, { validateStream: false });

const BORDERS = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
];

function describe(error: unknown): { message: string; fix: string | undefined; errors: LoopstackError['errors'] } {
  if (error instanceof LoopstackError) return { message: error.message, fix: error.fix, errors: error.errors };
  if (error instanceof UsageError) return { message: error.message, fix: error.fix, errors: [] };
  return { message: printable(error instanceof Error ? error.message : String(error)), fix: undefined, errors: [] };
}
