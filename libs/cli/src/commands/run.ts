import {
  LoopstackError,
  durationMs,
  printableJson,
  type Duration,
  type Priority,
  type RunHandle,
  type RunOptions,
} from '@loopstack/shared/contract';
import { Command, Option } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import { collect, eventLine, many, styleOf, timeOf } from '../format.js';
import { parseJson, payloadOf, readLines, readText } from '../payload.js';
import type { Session } from '../session.js';
import { parseTarget } from '../target.js';

interface RunFlags {
  readonly user?: string;
  readonly arg?: readonly string[];
  readonly payload?: string;
  readonly file?: string;
  readonly lines?: string;
  readonly key?: string;
  readonly delay?: Duration;
  readonly at?: string;
  readonly expiresIn?: Duration;
  readonly priority?: Priority;
  readonly header?: readonly string[];
  readonly wait?: boolean;
  readonly timeout: Duration;
  readonly check: boolean;
}

/** One run that is asked for. */
interface Asked {
  readonly target: string;
  readonly payload: unknown;
  readonly userId: string;
  readonly options: RunOptions;
}

/** Calls that may be under way while lines are read. */
const WINDOW = 1000;

export function runCommand(cli: Cli): Command {
  return new Command('run')
    .description('start one run or many')
    .argument('[target]', '<Workspace>.<Workflow>; with --lines, each line may name its own')
    .option('-u, --user <id>', 'user on whose behalf the workflow runs')
    .option('-a, --arg <key=value>', 'field of the payload: key=text or key:=json, with dots for nested fields; may be repeated', collect)
    .option('--payload <json>', 'the whole payload as JSON')
    .option('-f, --file <path>', 'file with the payload as JSON; - reads standard input')
    .option(
      '--lines <path>',
      'many runs, one JSON line each: a payload, or {"payload":…,"userId":…,"target":…,"key":…}; - reads standard input',
    )
    .option('--key <key>', 'idempotency key: the same key is the same run')
    .option('--delay <duration>', 'start after this time, such as 10m')
    .option('--at <time>', 'start at this time (ISO 8601)')
    .option('--expires-in <duration>', 'never start the run after this time')
    .addOption(new Option('--priority <priority>', 'priority of the run').choices(['high', 'normal', 'low']))
    .option('-H, --header <name=value>', 'header for the workflow; may be repeated', collect)
    .option('-w, --wait', 'follow the run until it ends, and print its result')
    .option('--timeout <duration>', 'maximum wait with --wait', '5m')
    .option('--no-check', 'do not check workflow and payload against the catalogue')
    .action(cli.action<RunFlags, [string | undefined]>(run));
}

async function run(invocation: Invocation<RunFlags>, target: string | undefined): Promise<ExitCode> {
  const { options, streams } = invocation;
  const sources = [options.payload, options.file, options.lines, options.arg].filter((given) => given !== undefined);
  if (sources.length > 1) throw new UsageError('give the payload only once: --arg, --payload, --file or --lines');
  if (options.lines !== undefined) return runMany(invocation, target, options.lines);
  if (target === undefined) throw new UsageError('no workflow given: loopstack run <Workspace>.<Workflow>');
  const payload =
    options.file !== undefined
      ? parseJson(options.file, await readText(options.file, streams.stdin))
      : options.payload !== undefined
        ? parseJson('--payload', options.payload)
        : payloadOf(options.arg ?? []);
  return runOne(invocation, { target, payload, userId: userOf(options.user), options: runOptions(options) });
}

function userOf(user: string | undefined): string {
  if (user === undefined) throw new UsageError('no user given: pass --user <id>');
  return user;
}

function runOptions({ key, delay, at, expiresIn, priority, header = [] }: RunFlags): RunOptions {
  return {
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(delay === undefined ? {} : { delay }),
    ...(at === undefined ? {} : { at: timeOf('at', at) }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
    ...(priority === undefined ? {} : { priority }),
    ...(header.length === 0 ? {} : { headers: headersOf(header) }),
  };
}

function headersOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`--header ${pair}: expected name=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

async function start(session: Session, asked: Asked): Promise<RunHandle> {
  const { workspace, workflow } = parseTarget(asked.target);
  return session.client.run(workflow, workspace, asked.payload, asked.userId, asked.options);
}

async function runOne({ options, terminal, session: open }: Invocation<RunFlags>, asked: Asked): Promise<ExitCode> {
  const timeoutMs = durationMs('timeout', options.timeout);
  const session = await open();
  const address = parseTarget(asked.target);
  if (options.check) await session.check(address, asked.payload, await session.workflows());
  const handle = await start(session, asked);
  const told = { id: handle.id, ...address, stream: handle.stream, sequence: handle.sequence, duplicate: handle.duplicate };
  const where = handle.sequence === 0 ? 'scheduled' : `${handle.stream} ${handle.sequence}`;
  if (!options.wait) {
    terminal.result(told, `${handle.id}${handle.duplicate ? '  (this run already existed)' : ''}`);
    terminal.note(terminal.style('dim', `${where}; loopstack runs watch ${handle.id}`));
    return EXIT.DONE;
  }
  terminal.note(`${handle.id}  ${terminal.style('dim', where)}`);
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), timeoutMs);
  let unread = false;
  try {
    for await (const event of handle.events({ signal: stop.signal }))
      terminal.note(eventLine(event, (text) => terminal.style(styleOf(event.type), text)));
  } catch (error) {
    // A tenant may read how its runs end, and no histories.
    unread = error instanceof LoopstackError && error.code === 'STREAM_UNAVAILABLE';
    if (!unread && !stop.signal.aborted) throw error;
  } finally {
    clearTimeout(late);
  }
  // Unless the history cannot be read, the outcome is there or the wait is over: either is told at once.
  const result = await handle.result({ timeout: stop.signal.aborted ? 1 : unread ? options.timeout : '10s' }).catch((error: unknown) => {
    if (!(error instanceof LoopstackError && error.code === 'RESULT_TIMEOUT')) throw error;
    throw new LoopstackError('RESULT_TIMEOUT', { ...error.details, timeoutMs });
  });
  terminal.result({ ...told, result: result ?? null }, () =>
    result === undefined ? 'succeeded' : printableJson(JSON.stringify(result, undefined, 2)),
  );
  return EXIT.DONE;
}

interface Tally {
  started: number;
  duplicates: number;
  readonly failures: { readonly line: number; readonly error: unknown }[];
}

/** Starts what the lines ask for, many at once; each that cannot be is named, and the others go on. */
async function runMany(
  { options, terminal, streams, session: open }: Invocation<RunFlags>,
  target: string | undefined,
  file: string,
): Promise<ExitCode> {
  const session = await open();
  const known = options.check ? await session.workflows() : undefined;
  const tally: Tally = { started: 0, duplicates: 0, failures: [] };
  const underWay = new Set<Promise<void>>();
  let badlyEnded = false;
  const work = async (number: number, line: string): Promise<void> => {
    try {
      const asked = askedIn(line, number, target, options);
      if (known) await session.check(parseTarget(asked.target), asked.payload, known);
      const handle = await start(session, asked);
      tally.started++;
      if (handle.duplicate) tally.duplicates++;
      const told = { line: number, id: handle.id, sequence: handle.sequence, duplicate: handle.duplicate };
      if (!options.wait) return terminal.line(told, handle.id);
      const result = await handle.result({ timeout: options.timeout });
      terminal.line(
        { ...told, result: result ?? null },
        `${handle.id}  ${result === undefined ? 'succeeded' : printableJson(JSON.stringify(result))}`,
      );
    } catch (error) {
      if (error instanceof LoopstackError && error.code === 'RUN_FAILED') badlyEnded = true;
      tally.failures.push({ line: number, error });
    }
  };
  for await (const { number, line } of readLines(file, streams.stdin)) {
    const one: Promise<void> = work(number, line).finally(() => underWay.delete(one));
    underWay.add(one);
    if (underWay.size >= WINDOW) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  for (const { line, error } of tally.failures.toSorted((a, b) => a.line - b.line)) terminal.error(atLine(line, error));
  terminal.note(`${many(tally.started, 'run')} started${tally.duplicates > 0 ? `, ${tally.duplicates} of them already existed` : ''}`);
  if (tally.failures.length === 0) return EXIT.DONE;
  if (tally.started === 0) return EXIT.USAGE;
  return badlyEnded && tally.failures.length === tally.started ? EXIT.RUN_FAILED : EXIT.PARTLY;
}

function atLine(line: number, error: unknown): unknown {
  if (error instanceof Error) error.message = `line ${line}: ${error.message}`;
  return error;
}

function askedIn(line: string, number: number, target: string | undefined, flags: RunFlags): Asked {
  const value = parseJson(`line ${number}`, line);
  const item =
    typeof value === 'object' && value !== null && Object.hasOwn(value, 'payload')
      ? (value as Record<string, unknown>)
      : { payload: value };
  const to = item['target'] ?? target;
  if (typeof to !== 'string') throw new UsageError('the line names no target, and no target was given');
  const key = item['key'];
  const options = runOptions(flags);
  return {
    target: to,
    payload: item['payload'],
    // What is no string is refused like one that is no id, instead of being passed over.
    userId: userOf((item['userId'] as string | undefined) ?? flags.user),
    options: key === undefined ? options : { ...options, idempotencyKey: key as string },
  };
}
