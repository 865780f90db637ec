import { RUN_STATUSES, assertPlace, decodeRunEvent, isOutcome, runIdTime, type RunEvent, type RunInfo } from '@loopstack/shared/contract';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, type ExitCode } from '../exit.js';
import { ago, eventLine, styleOf } from '../format.js';
import type { Session } from '../session.js';
import { parseRun, shown } from '../target.js';
import type { Fact, Terminal } from '../terminal.js';
import { limitOption, selectRuns, selectionOptions, type SelectionFlags } from './run-selection.js';
import { cancelCommand } from './runs-cancel.js';

/** Where a run is, if its id alone does not tell. */
interface Place {
  readonly workspace?: string;
  readonly workflow?: string;
}

/** Runs that a list has, unless `--limit` says otherwise. */
const LISTED = 20;

const RUN = 'run id, or <Workspace>.<Workflow>.<id>';

export function runsCommand(cli: Cli): Command {
  const runs = new Command('runs').description('list, inspect, watch and cancel runs');
  const place = (command: Command, only = 'only '): Command =>
    command.option('--workspace <name>', `${only}in this workspace`).option('--workflow <name>', `${only}of this workflow`);
  selectionOptions(runs.command('list').description('list runs, most recently changed first'), RUN_STATUSES)
    .option(...limitOption('maximum number'), LISTED)
    .action(cli.action<SelectionFlags>(list));
  place(runs.command('show').description('show a run and its history'), '')
    .argument('<run>', RUN)
    .action(cli.action<Place, [string]>(show));
  place(runs.command('watch').description('follow the events of one run until it ends, or of all runs'))
    .argument('[run]', RUN)
    .action(cli.action<Place, [string | undefined]>(watch));
  runs.addCommand(cancelCommand(cli));
  return runs;
}

async function list({ options, terminal, session }: Invocation<SelectionFlags>): Promise<void> {
  const { limit = LISTED } = options;
  const runs = await selectRuns((await session()).client, { ...options, limit });
  terminal.result(runs, () =>
    runs.length === 0
      ? 'no runs'
      : terminal.table(
          ['RUN', 'WORKFLOW', 'STATUS', 'ATTEMPT', 'UPDATED', ''],
          runs.map((run) => [
            run.id,
            shown(run),
            [run.status, styleOf(run.status)],
            run.attempt === 0 ? '' : String(run.attempt),
            ago(run.updatedAt ?? run.queuedAt),
            run.error?.message ?? '',
          ]),
        ),
  );
}

async function show({ options, terminal, session: open }: Invocation<Place>, text: string): Promise<void> {
  const asked = parseRun(text, options);
  const session = await open();
  const run = await session.client.get(asked);
  const events = await history(session, run);
  terminal.result({ ...run, events }, () =>
    [...facts(run, terminal), '', ...events.map((event) => line(event, terminal))].join('\n').trimEnd(),
  );
}

const line = (event: RunEvent, terminal: Terminal): string => eventLine(event, (text) => terminal.style(styleOf(event.type), text));

async function history({ api, names }: Session, run: RunInfo): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const { data } of api.scan(names.streams.events, names.event(run, run.id))) {
    const event = decodeRunEvent(data);
    if (event) events.push(event);
  }
  return events;
}

function facts(run: RunInfo, terminal: Terminal): string[] {
  const rows: Fact[] = [
    ['run', run.id],
    ['workflow', shown(run)],
    ['status', run.status, styleOf(run.status)],
    ['attempt', run.attempt > 0 ? String(run.attempt) : undefined],
    ['user', run.userId],
    ['queued', run.queuedAt],
    ['due', dueAt(run)],
    ['updated', run.updatedAt],
    ['command', run.sequence === undefined ? undefined : String(run.sequence)],
    ['result', run.result === undefined ? undefined : JSON.stringify(run.result)],
    ['error', run.error && `${run.error.code}: ${run.error.message}`],
    ...(run.error?.errors ?? []).map((field): Fact => ['', `${field.path}: ${field.message}`]),
  ];
  return terminal.facts(rows, 9);
}

/** A command that has not come yet is delayed; its id carries the time of its start, unless it stands for a key. */
function dueAt({ id, status, sequence }: RunInfo): string | undefined {
  const time = status === 'queued' && sequence === undefined ? runIdTime(id) : undefined;
  return time === undefined || ago(new Date(time).toISOString()).endsWith('ago') ? undefined : new Date(time).toISOString();
}

async function watch(invocation: Invocation<Place>, text: string | undefined): Promise<ExitCode> {
  const { options, terminal, signal, session: open } = invocation;
  const asked = text === undefined ? undefined : parseRun(text, options);
  const session = await open();
  if (asked === undefined) return watchAll(session, invocation);
  const run = await session.client.get(asked);
  let outcome: RunEvent | undefined;
  try {
    for await (const event of session.client.handle(run, run.id).events({ signal })) {
      terminal.line(event, line(event, terminal));
      if (isOutcome(event.type)) outcome = event;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return outcome === undefined || outcome.type === 'succeeded' ? EXIT.DONE : EXIT.RUN_FAILED;
}

/** Ends with Ctrl-C. */
async function watchAll({ nc, names }: Session, { options, terminal, signal }: Invocation<Place>): Promise<ExitCode> {
  assertPlace(options);
  const { workspace = '*', workflow = '*' } = options;
  const subscription = nc.subscribe(names.event({ workspace, workflow }, '*'));
  const stop = (): void => subscription.unsubscribe();
  signal.addEventListener('abort', stop);
  terminal.note(terminal.style('dim', 'watching (Ctrl-C stops)'));
  for await (const { subject, data } of subscription) {
    const run = names.parseEvent(subject);
    const event = decodeRunEvent(data);
    if (!run || !event) continue;
    terminal.line(
      { workspace: run.workspace, workflow: run.workflow, id: run.runId, ...event },
      `${run.runId}  ${shown(run)}  ${line(event, terminal)}`,
    );
  }
  return EXIT.DONE;
}
