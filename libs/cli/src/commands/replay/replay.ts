import { REPLAY_OUTCOMES, type ReplayHooks, type ReplayPace, type ReplayProgress, type ReplayReport } from '@loopstack/operations';
import { DEAD_REASONS } from '@loopstack/shared/contract';
import { Command, Option } from 'commander';
import type { Cli, Invocation } from '../../cli.js';
import { EXIT, type ExitCode } from '../../exit.js';
import { ago, collect, count, integerOf, many, numberOf, span } from '../../format.js';
import { loadAgain } from '../../modules.js';
import { previewText, progressText, reportText, statusCell } from './text.js';
import { requestOf, timesOf, type StartFlags } from './request.js';

interface ResumeFlags {
  readonly rate?: number | 'none';
  readonly maxQueued?: number | 'none';
  readonly check: boolean;
}

export function replayCommand(cli: Cli): Command {
  const replay = new Command('replay').description('replay stored commands in bulk');
  describeStart(replay.command('start'), cli);
  replay
    .command('list')
    .description('list replays, newest first')
    .option('-n, --limit <number>', 'maximum number', integerOf('limit'), 20)
    .action(cli.action<{ limit: number }>(list));
  const one = (name: string, description: string): Command =>
    replay.command(name).description(description).argument('<replay>', 'id of the replay');
  one('show', 'show a replay and its report').action(cli.action<object, [string]>(show));
  one('pause', 'pause a replay, wherever it runs').action(cli.action<object, [string]>(pause));
  one('resume', 'resume a paused or interrupted replay')
    .option('--rate <number>', 'maximum commands per second from now on; none: no limit', limitOf('rate'))
    .option('--max-queued <number>', 'wait while more commands are queued; none: never', limitOf('max-queued'))
    .option('--no-check', 'include commands that the catalogue refuses')
    .action(cli.action<ResumeFlags, [string]>(resume));
  one('abort', 'abort a replay; commands it has published stay').action(cli.action<object, [string]>(abort));
  return replay;
}

function describeStart(start: Command, cli: Cli): void {
  start.description('preview a replay, then start it').argument('[target]', 'only commands of this <Workspace>.<Workflow>');
  start
    .optionsGroup('Selection:')
    .option('--source <name>', 'runs, dead (dead letters), or the name of another stream', 'runs')
    .option('--workspace <name>', 'only in this workspace')
    .option('--workflow <name>', 'only of this workflow')
    .option('--subject <filter>', 'only on this subject, wildcards allowed; may be repeated', collect)
    .option('--since <time>', 'stored since: ISO 8601, or how long ago (2h)')
    .option('--until <time>', 'stored until')
    .option('--from-sequence <number>', 'from this sequence of the source on', integerOf('from-sequence'))
    .option('--to-sequence <number>', 'up to this sequence', integerOf('to-sequence'))
    .option('--user <id>', 'only of this user')
    .addOption(new Option('--outcome <outcome>', 'only of runs with this outcome').choices(REPLAY_OUTCOMES))
    .addOption(new Option('--reason <reason>', 'only dead letters with this reason').choices(DEAD_REASONS))
    .option('--where <expression>', "JSONPath on the payload: '@.priority > 3', or '$.items[?@.sku == \"x\"]'")
    .option('--where-module <file>', 'a module that exports (command, origin) => boolean')
    .option('--sample <share>', 'only this share of them, such as 0.01', numberOf('sample'))
    .option('-n, --limit <number>', 'maximum number of commands', integerOf('limit'))
    .option('--include-replayed', 'include commands that another replay published');
  start
    .optionsGroup('Transformation:')
    .option('--same-run', 'reopen ended runs instead of starting new ones')
    .option('--patch <json>', 'JSON Patch on {workspace, workflow, payload, userId}, or @file')
    .option('--transform <file>', 'a module that exports (command, origin) => command, or a JSON Patch (.json)')
    .option('--to <target>', 'for another stream: the <Workspace>.<Workflow> to start')
    .option('--map-user <id>', 'user id of all runs')
    .option('--map-user-path <path>', 'or JSONPath to the user id in the message')
    .option('--map-payload-path <path>', 'JSONPath to the payload in the message; default: all of it')
    .option('--map-module <file>', 'or a module that exports (message, origin) => command');
  start
    .optionsGroup('Execution:')
    .option('--dry-run', 'only preview: publish nothing')
    .option('--examples <number>', 'number of commands in the preview', integerOf('examples'), 3)
    .option('--rate <number>', 'maximum commands per second', numberOf('rate'))
    .option('--max-queued <number>', 'wait while more commands are queued for the workflow', integerOf('max-queued'))
    .addOption(new Option('--priority <priority>', 'priority of the new commands; default low').choices(['high', 'normal', 'low']))
    .option('--id <name>', 'name of the replay; default: generated')
    .option('--note <text>', 'reason, for the record')
    .option('--no-check', 'include commands that the catalogue refuses');
  start.action(cli.action<StartFlags, [string | undefined]>(startReplay));
}

async function startReplay(invocation: Invocation<StartFlags>, target: string | undefined): Promise<ExitCode> {
  const { options, terminal, streams, signal, session: open } = invocation;
  const { request: asked, functions } = await requestOf(options, target, streams.stdin);
  const replays = (await open()).replays(options.check);
  // How long ago is counted by the server's clock, which is known by now.
  const request = { ...asked, ...timesOf(options) };
  if (options.dryRun || !options.yes) {
    const ticker = await terminal.ticker('looking');
    const preview = await replays
      .preview(request, {
        functions,
        signal,
        examples: options.examples,
        onProgress: (progress) => ticker.show(`looking  ${progressText(progress)}`),
      })
      .finally(() => ticker.stop());
    if (options.dryRun) {
      terminal.result(preview, () => previewText(preview, terminal));
      return EXIT.DONE;
    }
    terminal.note(previewText(preview, terminal));
    if (preview.ready === 0) {
      terminal.result({ published: 0 }, 'there is nothing to replay');
      return EXIT.DONE;
    }
    if (!(await terminal.confirm(`Publish ${many(preview.ready, 'command')}?`))) return EXIT.PARTLY;
  }
  return exitCodeOf(await run(invocation, (hooks) => replays.start(request, { ...hooks, functions })));
}

type Hooks = Pick<ReplayHooks, 'onProgress' | 'signal'>;

/** Works on a replay in this process, shows how it goes on, and tells what came of it. */
async function run({ terminal, signal }: Invocation<object>, work: (hooks: Hooks) => Promise<ReplayReport>): Promise<ReplayReport> {
  const ticker = await terminal.ticker('replaying');
  let paused = false;
  const onProgress = (progress: ReplayProgress): void => {
    ticker.show(`${progress.id}  ${progressText(progress)}`);
    const before = paused;
    paused = progress.waiting === 'pause';
    if (paused && !before) ticker.say(`paused; to resume: loopstack replay resume ${progress.id}`);
  };
  const report = await work({ onProgress, signal }).finally(() => ticker.stop());
  tell(terminal, report);
  if (report.status === 'interrupted') terminal.note(`to resume: loopstack replay resume ${report.id}`);
  return report;
}

function exitCodeOf({ status, counts }: ReplayReport): ExitCode {
  return status === 'completed' && counts.invalid + counts.busy === 0 ? EXIT.DONE : EXIT.PARTLY;
}

async function list({ options, terminal, session }: Invocation<{ readonly limit: number }>): Promise<void> {
  const replays = (await session()).replays();
  const reports = await replays.list({ limit: options.limit });
  terminal.result(reports, () =>
    reports.length === 0
      ? 'no replays'
      : terminal.table(
          ['REPLAY', 'STATUS', 'SOURCE', 'MATCHED', 'PUBLISHED', 'INVALID', 'BY', 'STARTED', 'TOOK', 'NOTE'],
          reports.map(({ id, status, stream, counts, by, at, workedMs, request }) => [
            id,
            statusCell(status),
            stream,
            count(counts.matched),
            count(counts.published),
            count(counts.invalid),
            by,
            ago(at),
            span(workedMs),
            request.note ?? '',
          ]),
        ),
  );
}

function tell(terminal: Invocation<object>['terminal'], report: ReplayReport): void {
  terminal.result(report, () => reportText(report, terminal));
}

async function show({ terminal, session }: Invocation<object>, id: string): Promise<void> {
  tell(terminal, await (await session()).replays().get(id));
}

async function pause({ terminal, session }: Invocation<object>, id: string): Promise<void> {
  tell(terminal, await (await session()).replays().pause(id));
}

/** A number, or `none`: the limit that a replay was started with is taken away. */
function limitOf(option: string): (text: string) => number | 'none' {
  return (text) => (text === 'none' ? 'none' : numberOf(option)(text));
}

async function resume(invocation: Invocation<ResumeFlags>, id: string): Promise<ExitCode> {
  const { terminal, options } = invocation;
  const replays = (await invocation.session()).replays(options.check);
  const pace = Object.fromEntries(
    (['rate', 'maxQueued'] as const).flatMap((name) =>
      options[name] === undefined ? [] : [[name, options[name] === 'none' ? undefined : options[name]]],
    ),
  ) as ReplayPace;
  const { request } = await replays.get(id);
  const functions = await loadAgain(request.modules ?? {});
  const report = await run(invocation, (hooks) => replays.resume(id, { ...hooks, functions, pace }));
  // The process that had paused it is alive, and goes on.
  if (report.status === 'running') {
    terminal.note(`${report.runner} continues it`);
    return EXIT.DONE;
  }
  return exitCodeOf(report);
}

async function abort({ terminal, session }: Invocation<object>, id: string): Promise<ExitCode> {
  const replays = (await session()).replays();
  const { counts, bound, position } = await replays.get(id);
  const left = position < bound ? ' so far' : '';
  if (!(await terminal.confirm(`Abort replay ${id}? ${many(counts.published, 'command')} published${left}.`))) return EXIT.PARTLY;
  tell(terminal, await replays.abort(id));
  return EXIT.DONE;
}
