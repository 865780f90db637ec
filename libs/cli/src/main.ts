import { CommanderError } from 'commander';
import { Cli, exitCodeOf } from './cli.js';
import { program } from './program.js';
import type { Streams } from './terminal.js';

/** Runs the command; resolves with its exit code. Never rejects. */
export async function main(args: readonly string[], streams: Streams = process): Promise<number> {
  const cli = new Cli(streams);
  // A reader that has had enough (`| head`) ends the output, not with an error.
  streams.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    await program(cli, streams).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) cli.terminal({}).error(error);
    return exitCodeOf(error);
  }
  return cli.exitCode;
}
