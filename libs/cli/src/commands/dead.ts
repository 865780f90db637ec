import type { DeadLetterFilter, DeadLetterReport, DeadLetterSelection } from '@loopstack/operations';
import { DEAD_REASONS, printableJson, type DeadLetter, type DeadReason } from '@loopstack/shared/contract';
import { Command, Option } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import { ago, integerOf, many, timeOf } from '../format.js';
import type { Session } from '../session.js';
import { shown } from '../target.js';
import type { Fact, Terminal } from '../terminal.js';

interface FilterFlags {
  readonly workspace?: string;
  readonly workflow?: string;
  readonly reason?: DeadReason;
  readonly run?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

export function deadCommand(cli: Cli): Command {
  const dead = new Command('dead').description('list, inspect, redrive and discard dead letters');
  filtered(dead.command('list').description('list dead letters, oldest first')).action(cli.action<FilterFlags>(list));
  dead
    .command('show')
    .description('show a dead letter and its command')
    .argument('<letter>', 'number of the dead letter')
    .action(cli.action<object, [string]>(show));
  const chosen = (name: string, description: string): Command =>
    filtered(dead.command(name).description(description))
      .argument('[letters...]', 'numbers of dead letters; or select them with options')
      .option('--all', 'select all');
  chosen('redrive', 'run them again: the same runs, with new attempts').action(cli.action<FilterFlags, [string[]]>(redrive));
  chosen('discard', 'delete them permanently').action(cli.action<FilterFlags, [string[]]>(discard));
  return dead;
}

function filtered(command: Command): Command {
  return command
    .option('--workspace <name>', 'only in this workspace')
    .option('--workflow <name>', 'only of this workflow')
    .addOption(new Option('--reason <reason>', 'only with this reason').choices(DEAD_REASONS))
    .option('--run <id>', 'only of this run')
    .option('--since <time>', 'dead-lettered since: ISO 8601, or how long ago (2h)')
    .option('--until <time>', 'dead-lettered until')
    .option('-n, --limit <number>', 'maximum number', integerOf('limit'));
}

function filterOf({ workspace, workflow, reason, run, since, until, limit }: FilterFlags): DeadLetterFilter {
  return {
    ...(workspace === undefined ? {} : { workspace }),
    ...(workflow === undefined ? {} : { workflow }),
    ...(reason === undefined ? {} : { reason }),
    ...(run === undefined ? {} : { runId: run }),
    ...(since === undefined ? {} : { since: timeOf('since', since) }),
    ...(until === undefined ? {} : { until: timeOf('until', until) }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** A letter without its body's bytes, which JSON has no form for. */
function plain({ body, ...letter }: DeadLetter): object {
  return body === undefined ? letter : { ...letter, body: Buffer.from(body).toString('utf8') };
}

async function list({ options, terminal, session }: Invocation<FilterFlags>): Promise<void> {
  const { deadLetters } = await session();
  const letters = await deadLetters.list(filterOf(options));
  terminal.result(letters.map(plain), () =>
    letters.length === 0
      ? 'no dead letters'
      : terminal.table(
          ['LETTER', 'WORKFLOW', 'REASON', 'ATTEMPTS', 'GIVEN UP', 'RUN', 'MESSAGE'],
          letters.map((letter) => [
            String(letter.deadSequence),
            shown(letter),
            letter.reason,
            String(letter.attempts),
            ago(letter.time),
            letter.runId,
            letter.message,
          ]),
        ),
  );
}

async function show({ terminal, session }: Invocation<object>, number: string): Promise<void> {
  const { deadLetters } = await session();
  const letter = await deadLetters.inspect(sequenceOf(number));
  terminal.result(plain(letter), () => letterText(letter, terminal));
}

function letterText(letter: DeadLetter, terminal: Terminal): string {
  const rows: Fact[] = [
    ['letter', String(letter.deadSequence)],
    ['workflow', shown(letter)],
    ['run', letter.runId],
    ['user', letter.userId],
    ['reason', `${letter.reason}  ${letter.code}`, 'red'],
    ['message', letter.message],
    ...(letter.errors ?? []).map((field): Fact => ['', `${field.path}: ${field.message} (received ${field.received})`]),
    ['attempts', String(letter.attempts)],
    ['redriven', letter.redriven > 0 ? String(letter.redriven) : undefined],
    ['given up', letter.time],
    ['command', `${letter.stream} ${letter.sequence}, ${letter.subject}`],
    ...Object.entries(letter.headers).map(([name, value]): Fact => ['header', `${name}: ${value}`]),
  ];
  const body = letter.body === undefined ? '' : Buffer.from(letter.body).toString('utf8');
  return [...terminal.facts(rows, 9), '', pretty(body)].join('\n');
}

/** JSON with indents; what is no JSON as it is, on one line. */
function pretty(text: string): string {
  try {
    return printableJson(JSON.stringify(JSON.parse(text), undefined, 2));
  } catch {
    return printableJson(JSON.stringify(text.slice(0, 2000)));
  }
}

function sequenceOf(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`${JSON.stringify(text)} is not the number of a dead letter`);
  return Number(text);
}

/** Letters by number, or by options; never all of them by accident. */
function selectionOf(letters: readonly string[], options: FilterFlags): DeadLetterSelection {
  const filter = filterOf(options);
  const chooses = Object.keys(filter).length > 0;
  if (letters.length > 0) {
    if (chooses || options.all) throw new UsageError('select dead letters by number or with options, not both');
    return letters.map(sequenceOf);
  }
  if (!chooses && !options.all) throw new UsageError('no dead letters selected: pass numbers, options that select some, or --all');
  return filter;
}

async function countOf({ deadLetters }: Session, selection: DeadLetterSelection): Promise<number> {
  if (typeof selection === 'number') return 1;
  if (Array.isArray(selection)) return selection.length;
  let found = 0;
  for await (const _ of deadLetters.each(selection as DeadLetterFilter)) found++;
  return found;
}

async function redrive(invocation: Invocation<FilterFlags>, letters: readonly string[]): Promise<ExitCode> {
  return act(invocation, letters, 'Redrive', 'redriven', ({ deadLetters }, selection) => deadLetters.redrive(selection));
}

async function discard(invocation: Invocation<FilterFlags>, letters: readonly string[]): Promise<ExitCode> {
  return act(invocation, letters, 'Permanently discard', 'discarded', ({ deadLetters }, selection) => deadLetters.discard(selection));
}

async function act(
  { options, terminal, session: open }: Invocation<FilterFlags>,
  letters: readonly string[],
  verb: string,
  done: string,
  work: (session: Session, selection: DeadLetterSelection) => Promise<DeadLetterReport>,
): Promise<ExitCode> {
  const selection = selectionOf(letters, options);
  const session = await open();
  const total = await countOf(session, selection);
  if (total === 0) {
    terminal.result({ done: [], failed: [] }, 'no dead letters');
    return EXIT.DONE;
  }
  if (!(await terminal.confirm(`${verb} ${many(total, 'dead letter')}?`))) return EXIT.PARTLY;
  const ticker = await terminal.ticker(many(total, 'dead letter'));
  const report = await work(session, selection).finally(() => ticker.stop());
  terminal.result(report, () =>
    [
      `${many(report.done.length, 'dead letter')} ${done}`,
      ...report.failed.map(({ deadSequence, reason }) => `${deadSequence}: ${reason}`),
    ].join('\n'),
  );
  if (report.failed.length === 0) return EXIT.DONE;
  return report.done.length > 0 ? EXIT.PARTLY : EXIT.USAGE;
}
