import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { ago, bytes, count } from '../format.js';

export function streamsCommand(cli: Cli): Command {
  return new Command('streams').description('show the streams and their contents').action(cli.action<object>(list));
}

async function list({ terminal, session }: Invocation<object>): Promise<void> {
  const streams = [...(await (await session()).deployment.streams()).values()];
  const rows = streams.map(({ config, state, cluster, created }) => ({
    name: config['name'] as string,
    subjects: config['subjects'] as readonly string[],
    messages: state.messages,
    bytes: state.bytes,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    oldest: state.messages > 0 ? state.first_ts : undefined,
    newest: state.messages > 0 ? state.last_ts : undefined,
    replicas: (config['num_replicas'] as number | undefined) ?? 1,
    leader: cluster?.leader,
    created,
  }));
  terminal.result(rows, () =>
    rows.length === 0
      ? 'no streams: no worker has run here yet'
      : terminal.table(
          ['STREAM', 'MESSAGES', 'BYTES', 'FIRST', 'LAST', 'OLDEST', 'NEWEST', 'REPLICAS'],
          rows.map((row) => [
            row.name,
            count(row.messages),
            bytes(row.bytes),
            count(row.firstSequence),
            count(row.lastSequence),
            ago(row.oldest),
            ago(row.newest),
            String(row.replicas),
          ]),
        ),
  );
}
