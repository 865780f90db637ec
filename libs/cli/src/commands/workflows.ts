import type { Queue } from '@loopstack/operations';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { ago, count } from '../format.js';
import { shown } from '../target.js';

export function workflowsCommand(cli: Cli): Command {
  return new Command('workflows').description('list the workflows that workers serve, and their queues').action(cli.action<object>(list));
}

async function list({ terminal, session }: Invocation<object>): Promise<void> {
  const queues = await (await session()).deployment.queues();
  terminal.result(queues.map(plain), () =>
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
            queue.paused ? 'paused' : '',
          ]),
        ),
  );
}

function plain({ info: _info, ...queue }: Queue): object {
  return queue;
}
