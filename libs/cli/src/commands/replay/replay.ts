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
  const replay = new Command('replay').description('runs again, in bulk, from what was');
  describeStart(replay.command('start'), cli);
  replay
    .command('list')
    .description('replays, newest first')
    .option('-n, --limit <number>', 'most that are listed', integerOf('limit'), 20)
    .action(cli.action<{ limit: number }>(list));
  const one = (name: string, description: string): Command =>
    replay.command(name).description(description).argument('<replay>', 'id of the replay');
  one('show', 'one replay: who, when, what, and what came of it').action(cli.action<object, [string]>(show));
  one('pause', 'hold a replay, wherever it is worked on').action(cli.action<object, [string]>(pause));
  one('resume', 'go on with a replay that is paused or was interrupted')
    .option('--rate <number>', 'most commands a second from now on; none: as fast as it goes', limitOf('rate'))
    .option('--max-queued <number>', 'wait while more than this are queued; none: never', limitOf('max-queued'))
    .option('--no-check', 'also what the catalogue of the workers would refuse')
    .action(cli.action<ResumeFlags, [string]>(resume));
  one('abort', 'end a replay; what it has published stays').action(cli.action<object, [string]>(abort));
  return replay;
}

function describeStart(start: Command, cli: Cli): void {
  start
    .description('start a replay, after a look at what it would do')
    .argument('[target]', '<Workspace>.<Workflow> whose commands are replayed');
  start
    .optionsGroup('What is replayed:')
    .option('--source <name>', 'runs, dead (dead letters), or the name of another stream', 'runs')
    .option('--workspace <name>', 'only of this workspace')
    .option('--workflow <name>', 'only of this workflow')
    .option('--subject <filter>', 'only of this subject, wildcards allowed; may be repeated', collect)
    .option('--since <time>', 'stored since: ISO 8601, or how long ago (2h)')
    .option('--until <time>', 'stored until')
    .option('--from-sequence <number>', 'from this sequence of the source', integerOf('from-sequence'))
    .option('--to-sequence <number>', 'to this sequence', integerOf('to-sequence'))
    .option('--user <id>', 'on whose behalf they were')
    .addOption(new Option('--outcome <outcome>', 'what became of the run').choices(REPLAY_OUTCOMES))
    .addOption(new Option('--reason <reason>', 'of a dead letter').choices(DEAD_REASONS))
    .option('--where <expression>', "JSONPath on the payload: '@.priority > 3', or '$.items[?@.sku == \"x\"]'")
    .option('--where-module <file>', 'a module that exports (command, origin) => boolean')
    .option('--sample <share>', 'a share of them, such as 0.01', numberOf('sample'))
    .option('-n, --limit <number>', 'most that are replayed', integerOf('limit'))
    .option('--include-replayed', 'also what another replay has published');
  start
    .optionsGroup('As what:')
    .option('--same-run', 'open the runs again that have ended, instead of new runs')
    .option('--patch <json>', 'JSON Patch on {workspace, workflow, payload, userId}, or @file')
    .option('--transform <file>', 'a module that exports (command, origin) => command, or a JSON Patch (.json)')
    .option('--to <target>', 'of another stream: the <Workspace>.<Workflow> that its messages start')
    .option('--map-user <id>', 'on whose behalf, for all')
    .option('--map-user-path <path>', 'or JSONPath to the user id in the message')
    .option('--map-payload-path <path>', 'JSONPath to the payload in the message; default: all of it')
    .option('--map-module <file>', 'or a module that exports (message, origin) => command');
  start
    .optionsGroup('How:')
    .option('--dry-run', 'show what would be done, and publish nothing')
    .option('--examples <number>', 'commands that are shown before', integerOf('examples'), 3)
    .option('--rate <number>', 'most commands a second', numberOf('rate'))
    .option('--max-queued <number>', 'wait while more than this are queued for the workflow', integerOf('max-queued'))
    .addOption(new Option('--priority <priority>', 'lane of the new commands; default low').choices(['high', 'normal', 'low']))
    .option('--id <name>', 'name of the replay; default: one is made up')
    .option('--note <text>', 'why, for the record')
    .option('--no-check', 'also what the catalogue of the workers would refuse');
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
    if (paused && !before) ticker.say(`paused; loopstack replay resume ${progress.id} goes on with it`);
  };
  const report = await work({ onProgress, signal }).finally(() => ticker.stop());
  tell(terminal, report);
  if (report.status === 'interrupted') terminal.note(`loopstack replay resume ${report.id} goes on with it`);
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
    terminal.note(`${report.runner} goes on with it`);
    return EXIT.DONE;
  }
  return exitCodeOf(report);
}

async function abort({ terminal, session }: Invocation<object>, id: string): Promise<ExitCode> {
  const replays = (await session()).replays();
  const { counts, bound, position } = await replays.get(id);
  const left = position < bound ? ', it is not through with its source' : '';
  if (!(await terminal.confirm(`End replay ${id}? ${many(counts.published, 'command')} published${left}.`))) return EXIT.PARTLY;
  tell(terminal, await replays.abort(id));
  return EXIT.DONE;
}
