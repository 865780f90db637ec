import { LoopstackError, OUTCOMES, RUN_STATUSES, type RunInfo, type RunReference, type RunStatus } from '@loopstack/shared/contract';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import { many } from '../format.js';
import { parseRun, shown } from '../target.js';
import { limitOption, selectRuns, selectionOptions, type SelectionFlags } from './run-selection.js';

interface CancelFlags extends SelectionFlags {
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

/** Statuses of runs that have not ended. */
const OPEN: readonly RunStatus[] = RUN_STATUSES.filter((status) => !OUTCOMES.some((outcome) => outcome === status));
/** Runs that one command cancels, unless `--limit` says less. */
const MOST = 10_000;
/** Runs that a dry run names. */
const NAMED = 20;

export function cancelCommand(cli: Cli): Command {
  const command = new Command('cancel')
    .description('cancel runs: before they start, while they execute, or between attempts')
    .argument('[runs...]', 'run ids, or <Workspace>.<Workflow>.<id>; or select them with options');
  return selectionOptions(command, OPEN)
    .option(...limitOption(`maximum number, newest first; default ${MOST.toLocaleString('en-US')}`))
    .option('--all', 'select all that have not ended')
    .option('--dry-run', 'only show the runs')
    .action(cli.action<CancelFlags, [string[]]>(cancel));
}

async function cancel({ options, terminal, session: open }: Invocation<CancelFlags>, texts: readonly string[]): Promise<ExitCode> {
  const asked = askedFor(texts, options);
  const { client } = await open();
  const failed: LoopstackError[] = [];
  // An unknown run is an error without a question.
  const found = asked
    ? await each(asked, failed, (run) => client.get(run))
    : [...(await selectRuns(client, { ...options, status: options.status ?? OPEN, limit: Math.min(options.limit ?? MOST, MOST) }))];
  if (options.dryRun) {
    terminal.result(found, () => [`${many(found.length, 'run')} would be canceled`, ...named(found)].join('\n'));
  } else {
    const [first] = found;
    const question = `Cancel ${first && found.length === 1 ? `run ${first.id} of ${shown(first)}` : many(found.length, 'run')}?`;
    if (found.length > 0 && !(await terminal.confirm(question))) return EXIT.PARTLY;
    const canceled = await each(found, failed, (run) => client.cancel(run));
    terminal.result(canceled, () => (canceled.length > NAMED ? `${many(canceled.length, 'run')} canceled` : lines(canceled)));
    if (canceled.length === MOST) terminal.note('there may be more: repeat the command');
    found.splice(0, found.length, ...canceled);
  }
  for (const error of failed) terminal.error(error);
  if (failed.length === 0) return EXIT.DONE;
  return found.length > 0 ? EXIT.PARTLY : EXIT.USAGE;
}

const lines = (canceled: readonly RunInfo[]): string =>
  canceled.map((run) => `${run.id} ${run.status}`).join('\n') || 'nothing was canceled';

function named(runs: readonly RunInfo[]): string[] {
  const first = runs.slice(0, NAMED).map((run) => `${shown(run)}.${run.id}  ${run.status}`);
  return runs.length > NAMED ? [...first, `and ${many(runs.length - NAMED, 'other run')}`] : first;
}

/** Runs by id; undefined where options choose them. Never all of them by accident. @throws UsageError */
function askedFor(texts: readonly string[], options: CancelFlags): readonly (string | RunReference)[] | undefined {
  const { workspace, workflow, status, user, since, until, limit, all } = options;
  const chooses = all === true || [status, user, since, until, limit].some((option) => option !== undefined);
  if (texts.length > 0) {
    if (chooses) throw new UsageError('select runs by id or with options, not both');
    return texts.map((text) => parseRun(text, options));
  }
  if (!chooses && workspace === undefined && workflow === undefined)
    throw new UsageError('no runs selected: pass ids, options that select some, or --all');
  return undefined;
}

/** Those for which it worked; errors of others are put to `failed`. */
async function each<T>(runs: readonly T[], failed: LoopstackError[], work: (run: T) => Promise<RunInfo>): Promise<RunInfo[]> {
  const done: RunInfo[] = [];
  for (const run of runs) {
    try {
      done.push(await work(run));
    } catch (error) {
      if (!(error instanceof LoopstackError)) throw error;
      failed.push(error);
    }
  }
  return done;
}
