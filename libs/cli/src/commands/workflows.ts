import type { Queue } from '@loopstack/operations';
import type { Duration } from '@loopstack/shared/contract';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { ago, count, many } from '../format.js';
import type { Session } from '../session.js';
import { checkKnown, parseTarget, shown } from '../target.js';

interface PauseFlags {
  readonly for?: Duration;
}

const TARGET = '<Workspace>.<Workflow>';

export function workflowsCommand(cli: Cli): Command {
  const workflows = new Command('workflows').description('list the workflows that workers serve, pause and resume them');
  workflows.command('list', { isDefault: true }).description('list the workflows and their queues').action(cli.action<object>(list));
  workflows
    .command('pause')
    .description('start no more runs of a workflow; runs that execute continue, and commands wait')
    .argument('<workflow>', TARGET)
    .option('--for <duration>', 'resume it after this time (1h)')
    .action(cli.action<PauseFlags, [string]>(pause));
  workflows
    .command('resume')
    .description('start runs of a paused workflow again')
    .argument('<workflow>', TARGET)
    .action(cli.action<object, [string]>(resume));
  return workflows;
}

async function list({ terminal, session }: Invocation<object>): Promise<void> {
  const queues = await (await session()).deployment.queues();
  terminal.result(queues, () =>
    queues.length === 0
      ? 'no workflows: no worker has run here yet'
      : terminal.table(
          ['WORKFLOW', 'LANE', 'QUEUED', 'ACTIVE', 'PULLS', 'LAST START', ''],
          queues.map((queue) => [
            shown(queue),
            queue.lane ?? '',
            count(queue.pending),
            count(queue.active),
            String(queue.pulls),
            ago(queue.lastDelivery),
            queue.pausedUntil === undefined ? '' : `paused until ${queue.pausedUntil}`,
          ]),
        ),
  );
}

async function pause({ options, terminal, session: open }: Invocation<PauseFlags>, text: string): Promise<void> {
  const { address, deployment } = await known(await open(), text);
  const queues = await deployment.pause(address, options);
  const until = options.for === undefined ? '' : ` until ${queues[0]?.pausedUntil ?? ''}`;
  terminal.result(queues, () => `${text} is paused${until}: ${waiting(queues)}`);
  if (options.for === undefined) terminal.note(`loopstack workflows resume ${text} starts its runs again`);
}

async function resume({ terminal, session: open }: Invocation<object>, text: string): Promise<void> {
  const { address, deployment } = await known(await open(), text);
  const queues = await deployment.resume(address);
  terminal.result(queues, () => `${text} is resumed: ${waiting(queues)}`);
}

/** @throws LoopstackError WORKSPACE_UNKNOWN, WORKFLOW_UNKNOWN with a suggestion */
async function known(
  session: Session,
  text: string,
): Promise<{ address: ReturnType<typeof parseTarget>; deployment: Session['deployment'] }> {
  const address = parseTarget(text);
  const { deployment } = session;
  checkKnown(address, await deployment.queues());
  return { address, deployment };
}

function waiting(queues: readonly Queue[]): string {
  const sum = (field: 'pending' | 'active'): number => queues.reduce((total, queue) => total + queue[field], 0);
  return `${many(sum('pending'), 'command')} queued, ${count(sum('active'))} active`;
}
