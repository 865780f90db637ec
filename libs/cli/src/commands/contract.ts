import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { UsageError } from '../exit.js';

export function contractCommand(cli: Cli): Command {
  return new Command('contract')
    .description('the catalogue of workflows and their payloads, as workers publish it')
    .action(cli.action<object>(contract));
}

async function contract({ terminal, session: open }: Invocation<object>): Promise<void> {
  const { deployment, names, api } = await open();
  const stream = `KV_${names.catalogue}`;
  if ((await deployment.stream(stream)) === undefined) throw new UsageError('no worker has published a catalogue here');
  const entries: Record<string, unknown> = {};
  for await (const { subject, data } of api.scan(stream, `$KV.${names.catalogue}.>`)) {
    entries[subject.slice(`$KV.${names.catalogue}.`.length)] = JSON.parse(Buffer.from(data).toString('utf8'));
  }
  terminal.result(entries, () => JSON.stringify(entries, undefined, 2));
}
