import { LoopstackError, printable, type ErrorDetails, type FieldError, invalidOption } from '@loopstack/shared';
import { framesOf, isA, reasonOf, textOf } from '../run/thrown.js';

/** The run whose error is redacted. */
export interface RedactedRun {
  readonly workspace: string;
  readonly workflow: string;
  readonly runId: string;
}

/** What is kept out of logs, events and dead letters. All optional. */
export interface RedactOptions {
  /**
   * Paths of the payload: `card.number`, `items.*.secret`; `*` stands for any one key or index. All values at and below a path are
   * masked in dead letters, and replaced in messages of errors.
   */
  readonly paths?: readonly string[];
  /**
   * Message that is logged and recorded instead of the one of an error that a workflow, a mapping or a handler threw. What it throws
   * itself leaves the message empty. `run` is undefined where the error is of no run.
   */
  readonly error?: (error: unknown, run: RedactedRun | undefined) => string;
}

/** Stands for a value that is not shown. */
export const REDACTED = '[redacted]';

/** Shorter values would take ordinary text with them. */
const SHORTEST = 3;
/** Values of one payload that are looked for in messages; the longest ones first. */
const MOST_VALUES = 1000;

type Path = readonly string[];

/** @throws LoopstackError OPTION_INVALID */
function parsePath(option: string, path: unknown): Path {
  const steps = typeof path === 'string' ? path.split('.') : [];
  if (steps.length === 0 || steps.includes('')) {
    throw invalidOption(option, 'paths such as card.number or items.*.secret', path);
  }
  return steps;
}

/**
 * Redactor of a workflow, or of an application; undefined where nothing is to be kept out. The paths of both count, the workflow's own
 * function wins.
 * @throws LoopstackError OPTION_INVALID
 */
export function resolveRedaction(option: string, own: RedactOptions = {}, application: RedactOptions = {}): Redactor | undefined {
  const paths = [...(application.paths ?? []), ...(own.paths ?? [])].map((path) => parsePath(`${option}.paths`, path));
  const rewrite = own.error ?? application.error;
  if (rewrite !== undefined && typeof rewrite !== 'function') {
    throw invalidOption(`${option}.error`, 'a function', rewrite);
  }
  return paths.length === 0 && rewrite === undefined ? undefined : new Redactor(paths, rewrite);
}

/** Keeps values of payloads, and what errors say, out of everything that is written. */
export class Redactor {
  readonly #paths: readonly Path[];
  readonly #rewrite: RedactOptions['error'] | undefined;

  constructor(paths: readonly Path[], rewrite?: RedactOptions['error']) {
    this.#paths = paths;
    this.#rewrite = rewrite;
  }

  /** Whether bodies must be masked before they are stored again. */
  get masksBodies(): boolean {
    return this.#paths.length > 0;
  }

  /** A copy of the payload without the values at the paths. */
  payload(payload: unknown): unknown {
    return this.#paths.length === 0 ? payload : masked(payload, this.#paths);
  }

  /**
   * The error as it may be logged and recorded. The class of what was thrown and the frames of its stack stay.
   * @param payload undefined where it could not be read
   * @param facts `used`: the payload as the workflow got it: a validator may have trimmed or converted values. `thrown`: the workflow threw this
   *   very error, such as that of another run that it waited for
   */
  error(
    error: LoopstackError,
    payload: unknown,
    run?: RedactedRun,
    { used, thrown = false }: { readonly used?: unknown; readonly thrown?: boolean } = {},
  ): LoopstackError {
    // What cannot be read has no paths, and messages about it may quote it.
    const hide = this.#paths.length > 0 && error.code.startsWith('BODY_') ? (): string => REDACTED : this.#hider([payload, used]);
    const errors = error.errors.map((field) => this.#field(field, hide));
    const told = new LoopstackError(error.code, this.#details(error, run, hide), { cause: withoutValues(error.cause, hide), errors });
    // Its code stays, and the function says the rest.
    if (thrown && this.#rewrite) told.message = printable(hide(this.#thrown(error, run)), 500);
    return told;
  }

  #details(error: LoopstackError, run: RedactedRun | undefined, hide: (text: string) => string): ErrorDetails {
    const details: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(error.details)) details[name] = typeof value === 'string' ? hide(value) : value;
    if (error.code === 'PAYLOAD_INVALID') details['summary'] = 'see the fields';
    // What was thrown is read again: a message that was cut may end within a value.
    const { cause } = error;
    if (cause !== undefined && 'reason' in details) details['reason'] = printable(hide(this.#thrown(cause, run)), 500);
    return details;
  }

  #thrown(thrown: unknown, run: RedactedRun | undefined): string {
    if (!this.#rewrite) return reasonOf(thrown, Number.POSITIVE_INFINITY);
    const name = isA(thrown, Error) ? `${textOf(thrown, 'name') ?? 'Error'}: ` : '';
    try {
      const text: unknown = this.#rewrite(thrown, run);
      return typeof text === 'string' ? `${name}${text}` : `${name}${REDACTED}`;
    } catch {
      return `${name}${REDACTED}`;
    }
  }

  #field(field: FieldError, hide: (text: string) => string): FieldError {
    const at = stepsOf(field.path);
    const secret = this.#paths.some((path) => path.length <= at.length && path.every((step, i) => step === '*' || step === at[i]));
    return { ...field, message: secret ? `${field.path} is refused: ${REDACTED}` : hide(field.message) };
  }

  /** Replaces the values of a payload in a text, also as JSON, a URL or a log writes them. */
  #hider(payloads: readonly unknown[]): (text: string) => string {
    const values = new Set<string>();
    for (const path of this.#paths) for (const payload of payloads) collect(payload, path, values);
    if (values.size === 0) return (text) => text;
    const longest = [...values].toSorted((a, b) => b.length - a.length).slice(0, MOST_VALUES);
    const spellings = longest.flatMap((value) => [value, JSON.stringify(value).slice(1, -1), printable(value, value.length), uri(value)]);
    const distinct = [...new Set(spellings)].toSorted((a, b) => b.length - a.length);
    return (text) => distinct.reduce((result, spelling) => result.replaceAll(spelling, REDACTED), text);
  }
}

/** What was thrown, or what stands for it where its name or its frames quote a value: the name is recorded, and the frames are logged. */
function withoutValues(thrown: unknown, hide: (text: string) => string): unknown {
  const name = isA(thrown, Error) ? (textOf(thrown, 'name') ?? '') : '';
  const frames = framesOf(thrown) ?? '';
  const [shownName, shownFrames] = [hide(name), hide(frames)];
  if (shownName === name && shownFrames === frames) return thrown;
  return Object.assign(new Error(REDACTED), { name: shownName, stack: shownFrames });
}

function uri(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

function below(value: unknown, step: string): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  if (step === '*') return Object.values(value);
  return Object.hasOwn(value, step) ? [(value as Record<string, unknown>)[step]] : [];
}

/** The leaves at and below a path, as text. */
function collect(value: unknown, path: Path, into: Set<string>): void {
  const [step, ...rest] = path;
  if (step !== undefined) {
    for (const inner of below(value, step)) collect(inner, rest, into);
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) collect(inner, [], into);
  } else if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value);
    if (text.length >= SHORTEST) into.add(text);
  }
}

function masked(value: unknown, paths: readonly Path[]): unknown {
  if (paths.length === 0) return value;
  if (paths.some((path) => path.length === 0)) return REDACTED;
  if (typeof value !== 'object' || value === null) return value;
  const inner = (key: string, item: unknown): unknown =>
    masked(
      item,
      paths.filter(([step]) => step === '*' || step === key).map((path) => path.slice(1)),
    );
  if (Array.isArray(value)) return value.map((item, index) => inner(String(index), item));
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, inner(key, item)]);
  return Object.fromEntries(entries);
}

/** The steps of a field error's path: `items[2]["a b"].c` is items, 2, a b, c. */
function stepsOf(path: string): readonly string[] {
  const steps: string[] = [];
  for (const [, quoted, index, name] of path.matchAll(/\[("(?:[^"\\]|\\.)*")\]|\[(\d+)\]|([^.[\]]+)/g)) {
    steps.push(quoted === undefined ? ((index ?? name) as string) : unquoted(quoted));
  }
  return steps;
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}
