import type { Recurrence, Schedule, Duration, Priority } from '@loopstack/shared/contract';
import { Command, Option } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import { collect } from '../format.js';
import { parseJson, payloadOf } from '../payload.js';
import { parseTarget, shown } from '../target.js';

interface PutFlags {
  readonly cron?: string;
  readonly every?: Duration;
  readonly timeZone?: string;
  readonly user?: string;
  readonly arg?: readonly string[];
  readonly payload?: string;
  readonly priority?: Priority;
  readonly check: boolean;
}

export function schedulesCommand(cli: Cli): Command {
  const schedules = new Command('schedules').description('list, create and end recurring runs');
  schedules
    .command('list', { isDefault: true })
    .description('list recurring runs')
    .option('--workspace <name>', 'only in this workspace')
    .option('--workflow <name>', 'only of this workflow')
    .action(cli.action<{ workspace?: string; workflow?: string }>(list));
  schedules
    .command('put')
    .description('create or replace a schedule')
    .argument('<id>', 'name of the schedule')
    .argument('<target>', '<Workspace>.<Workflow>')
    .option('--cron <expression>', 'cron expression of five fields, or of six with the second first; or @daily and the like')
    .option('--every <duration>', 'or an interval of whole seconds, such as 15m')
    .option('--time-zone <name>', 'time zone of the cron expression; default UTC')
    .option('-u, --user <id>', 'user on whose behalf the workflow runs')
    .option('-a, --arg <key=value>', 'field of the payload: key=text or key:=json; may be repeated', collect)
    .option('--payload <json>', 'the whole payload as JSON')
    .addOption(new Option('--priority <priority>', 'priority of the run').choices(['high', 'normal', 'low']))
    .option('--no-check', 'do not check workflow and payload against the catalogue')
    .action(cli.action<PutFlags, [string, string]>(put));
  schedules
    .command('cancel')
    .description('end a schedule; runs that it started continue')
    .argument('<id>', 'name of the schedule')
    .argument('<target>', '<Workspace>.<Workflow>')
    .action(cli.action<object, [string, string]>(cancel));
  return schedules;
}

const row = (schedule: Schedule): string[] => [
  schedule.id,
  shown(schedule),
  schedule.recurrence,
  schedule.timeZone ?? 'UTC',
  schedule.userId,
  schedule.priority,
  JSON.stringify(schedule.payload),
];

const HEAD = ['SCHEDULE', 'WORKFLOW', 'WHEN', 'ZONE', 'USER', 'PRIORITY', 'PAYLOAD'];

async function list({
  options,
  terminal,
  session,
}: Invocation<{ readonly workspace?: string; readonly workflow?: string }>): Promise<void> {
  const { workspace, workflow } = options;
  const { client } = await session();
  const found = await client.schedules.list({
    ...(workspace === undefined ? {} : { workspace }),
    ...(workflow === undefined ? {} : { workflow }),
  });
  terminal.result(found, () => (found.length === 0 ? 'no schedules' : terminal.table(HEAD, found.map(row))));
}

async function put({ options, terminal, session: open }: Invocation<PutFlags>, id: string, target: string): Promise<void> {
  const { cron, every, timeZone, user, arg, payload, priority, check } = options;
  if ((cron === undefined) === (every === undefined)) throw new UsageError('pass either --cron or --every');
  if (user === undefined) throw new UsageError('no user given: pass --user <id>');
  const recurrence: Recurrence = every === undefined ? (cron as string) : { every };
  const address = parseTarget(target);
  const session = await open();
  const body = payload === undefined ? payloadOf(arg ?? []) : parseJson('--payload', payload);
  if (check) await session.check(address, body, await session.workflows());
  const schedule = await session.client.schedules.put(id, recurrence, address.workflow, address.workspace, body, user, {
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(priority === undefined ? {} : { priority }),
  });
  terminal.result(schedule, () => terminal.table(HEAD, [row(schedule)]));
}

async function cancel({ terminal, session }: Invocation<object>, id: string, target: string): Promise<ExitCode> {
  const address = parseTarget(target);
  if (!(await terminal.confirm(`End schedule ${id} of ${target}?`))) return EXIT.PARTLY;
  await (await session()).client.schedules.cancel(address, id);
  terminal.result({ id, ...address, canceled: true }, `schedule ${id} ended`);
  return EXIT.DONE;
}
