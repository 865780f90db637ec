import type { RunFilter, RunInfo, RunStatus } from '@loopstack/shared/contract';
import { Option, type Command } from 'commander';
import { integerOf, timeOf } from '../format.js';
import { warn, type Session } from '../session.js';

/** Options that select runs. */
export interface SelectionFlags {
  readonly workspace?: string;
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly user?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
}

export function selectionOptions(command: Command, statuses: readonly RunStatus[]): Command {
  return command
    .option('--workspace <name>', 'only in this workspace')
    .option('--workflow <name>', 'only of this workflow')
    .addOption(new Option('--status <status...>', 'only with one of these').choices(statuses))
    .option('-u, --user <id>', 'only of this user')
    .option('--since <time>', 'changed since: ISO 8601, or how long ago (2h)')
    .option('--until <time>', 'not changed after this time');
}

export const limitOption = (text: string): [flags: string, text: string, parse: (value: string) => number] => [
  '-n, --limit <number>',
  text,
  integerOf('limit'),
];

/** The runs that options select. Warns if the list stopped at its bound. */
export function selectRuns(
  client: Session['client'],
  flags: SelectionFlags & Pick<Required<RunFilter>, 'limit'>,
): Promise<readonly RunInfo[]> {
  const { workspace, workflow, status, user, since, until, limit } = flags;
  return client.list({
    limit,
    ...(workspace === undefined ? {} : { workspace }),
    ...(workflow === undefined ? {} : { workflow }),
    ...(status === undefined ? {} : { status }),
    ...(user === undefined ? {} : { userId: user }),
    ...(since === undefined ? {} : { since: timeOf('since', since) }),
    ...(until === undefined ? {} : { until: timeOf('until', until) }),
    onIncomplete: (from) => {
      const time = from.toISOString();
      warn(
        `the list stopped at its bound of 200,000 messages. It lacks runs that last changed before ${time}: list them with --until ${time}`,
      );
    },
  });
}
