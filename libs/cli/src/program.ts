import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import type { Cli } from './cli.js';
import { bindingsCommand } from './commands/bindings.js';
import { completeCommand, completionCommand } from './commands/completion.js';
import { contractCommand } from './commands/contract.js';
import { deadCommand } from './commands/dead.js';
import { devCommand } from './commands/dev.js';
import { doctorCommand } from './commands/doctor.js';
import { replayCommand } from './commands/replay/replay.js';
import { runCommand } from './commands/run.js';
import { runsCommand } from './commands/runs.js';
import { schedulesCommand } from './commands/schedules.js';
import { streamsCommand } from './commands/streams.js';
import { tenantCommand } from './commands/tenant.js';
import { workflowsCommand } from './commands/workflows.js';
import type { Streams } from './terminal.js';

const COMMANDS = [
  runCommand,
  runsCommand,
  replayCommand,
  deadCommand,
  workflowsCommand,
  schedulesCommand,
  bindingsCommand,
  streamsCommand,
  tenantCommand,
  doctorCommand,
  devCommand,
  contractCommand,
  completionCommand,
];

const CONNECTION = 'Connection:';
const OUTPUT = 'Output:';

/** The whole command line. */
export function program(cli: Cli, streams: Streams): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  const root = new Command('loopstack')
    .description('Start, inspect and replay runs, handle dead letters, and diagnose a deployment of Loopstack over NATS.')
    .version(version)
    .optionsGroup(CONNECTION)
    .option('-s, --server <urls>', 'NATS servers, separated by commas (NATS_URL)')
    .option('--context <name>', 'context of the nats command, or the path of its file (NATS_CONTEXT)')
    .option('--creds <file>', 'credentials file (NATS_CREDS)')
    .option('--nkey <file>', 'NKey seed file (NATS_NKEY)')
    .option('--tls-ca <file>', 'CA certificates to trust (NATS_CA)')
    .option('--tls-cert <file>', 'client certificate (NATS_CERT)')
    .option('--tls-key <file>', 'private key of the client certificate (NATS_KEY)')
    .option('--prefix <name>', 'first token of the subjects, default loopstack (LOOPSTACK_PREFIX)')
    .option('--domain <name>', 'JetStream domain (NATS_JS_DOMAIN)')
    .option('--sign <file>', 'NKey seed that signs commands (LOOPSTACK_SIGN)')
    .optionsGroup(OUTPUT)
    .option('--json', 'JSON instead of text')
    .option('--no-color', 'no colors (NO_COLOR)')
    .option('-y, --yes', 'do not ask for confirmation')
    .addHelpText('after', '\nExit codes: 0 done, 1 the run failed, 2 usage or connection error, 3 partly done.')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
    })
    .exitOverride();
  for (const command of COMMANDS) root.addCommand(inherit(command(cli), root));
  root.addCommand(inherit(completeCommand(cli, root), root), { hidden: true });
  return root;
}

/** Subcommands that are made apart take over how errors and help are shown. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}
