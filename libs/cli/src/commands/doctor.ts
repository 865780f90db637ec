import { diagnose, gatherFacts, type Finding } from '@loopstack/operations';
import type { SharedWorkflow } from '@loopstack/client';
import { Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { Style } from '../terminal.js';

const MARKS: Record<Finding['status'], readonly [string, Style]> = {
  ok: ['ok', 'green'],
  warning: ['warning', 'yellow'],
  problem: ['problem', 'red'],
  unknown: ['unknown', 'dim'],
};

export function doctorCommand(cli: Cli): Command {
  return new Command('doctor')
    .description('check a deployment, and print a remedy for each finding')
    .option('--monitor <url>', 'URL of the HTTP monitoring; default: port 8222 of the server')
    .action(cli.action<{ monitor?: string }>(doctor));
}

async function doctor({ options, terminal, session }: Invocation<{ readonly monitor?: string }>): Promise<ExitCode> {
  const open = await session(true);
  const { api, names, publisher, settings } = open;
  // A client refuses a server that is too old.
  const shared = async (): Promise<readonly SharedWorkflow[]> => open.client.catalogue.shared();
  const findings = diagnose(await gatherFacts({ api, names, shared, publisher, domain: settings.domain, monitor: options.monitor }));
  terminal.result(findings, () =>
    findings
      .map(({ check, status, message, fix }) => {
        const [mark, style] = MARKS[status];
        return `${terminal.style(style, mark.padEnd(7))}  ${check}: ${message}${fix === undefined ? '' : `\n         ${terminal.style('dim', fix)}`}`;
      })
      .join('\n'),
  );
  return findings.some(({ status }) => status === 'problem') ? EXIT.PARTLY : EXIT.DONE;
}
