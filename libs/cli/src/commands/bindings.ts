import type { BindingInfo } from '@loopstack/operations';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, type ExitCode } from '../exit.js';
import { count } from '../format.js';
import { shown } from '../target.js';

export function bindingsCommand(cli: Cli): Command {
  const bindings = new Command('bindings').description('list and remove event bindings');
  bindings
    .command('list', { isDefault: true })
    .description('list the bindings on every stream of the account')
    .action(cli.action<object>(list));
  bindings
    .command('remove')
    .description('end a binding that no application declares; events that wait for it start nothing')
    .argument('<durable>', 'durable name, as list shows it')
    .option('--stream <name>', 'its stream, if several have a durable of this name')
    .action(cli.action<{ stream?: string }, [string]>(remove));
  return bindings;
}

/** What declares a binding: a workflow (of a chain the first one), or a service. */
const owner = ({ workspace, workflow, service = '' }: BindingInfo): string =>
  workspace !== undefined && workflow !== undefined ? shown({ workspace, workflow }) : service;

const state = ({ pausedUntil, consumed, unsettled }: BindingInfo): string => {
  if (pausedUntil !== undefined) return `paused until ${pausedUntil}`;
  return consumed || unsettled > 0 ? '' : 'no process consumes it';
};

async function list({ terminal, session }: Invocation<object>): Promise<void> {
  const found = await (await session()).bindings.list();
  terminal.result(found, () =>
    found.length === 0
      ? 'no bindings'
      : terminal.table(
          ['BINDING', 'KIND', 'STREAM', 'EVENTS', 'FROM', 'DECLARED BY', 'PENDING', 'ACTIVE', ''],
          found.map((binding) => [
            binding.durable,
            binding.kind,
            binding.stream,
            binding.subject,
            binding.from,
            owner(binding),
            count(binding.pending),
            count(binding.unsettled),
            state(binding),
          ]),
        ),
  );
}

async function remove({ options, terminal, session }: Invocation<{ readonly stream?: string }>, durable: string): Promise<ExitCode> {
  if (!(await terminal.confirm(`Remove binding ${durable} permanently?`))) return EXIT.PARTLY;
  await (await session()).bindings.remove(durable, options.stream);
  terminal.result({ durable, removed: true }, `binding ${durable} removed`);
  return EXIT.DONE;
}
