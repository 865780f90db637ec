import { Argument, Command } from 'commander';
import type { Cli, Invocation } from '../cli.js';
import { candidates } from '../completion.js';
import { shown } from '../target.js';

/** Longest wait for names from the server: the shell stands still meanwhile. */
const LOOK_MS = 800;

/** A package that is installed in a project alone is not on the PATH, so there the command is one of npx. */
const DEFINED = `command -v loopstack >/dev/null || loopstack() { npx --no -- loopstack "$@"; }
`;

const SCRIPTS = {
  bash: `${DEFINED}_loopstack() {
  local IFS=$'\\n'
  COMPREPLY=($(loopstack complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _loopstack loopstack
`,
  zsh: `#compdef loopstack
${DEFINED}_loopstack() {
  local -a found
  found=("\${(@f)$(loopstack complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- $found
}
compdef _loopstack loopstack
`,
  fish: `type -q loopstack; or function loopstack; npx --no -- loopstack $argv; end
complete -c loopstack -f -a '(loopstack complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
} as const;

export function completionCommand(cli: Cli): Command {
  return new Command('completion')
    .description('print shell completion: eval "$(loopstack completion bash)"')
    .addArgument(new Argument('<shell>', 'shell').choices(Object.keys(SCRIPTS)))
    .action(cli.action<object, [keyof typeof SCRIPTS]>(script));
}

/** Called by the scripts: the words before the cursor, to what may stand there. */
export function completeCommand(cli: Cli, root: Command): Command {
  return new Command('complete')
    .argument('[words...]')
    .action(cli.action<object, [string[]]>((invocation, words) => complete(invocation, words, root)));
}

async function script({ terminal, streams }: Invocation<object>, shell: keyof typeof SCRIPTS): Promise<void> {
  if (terminal.json) terminal.result({ shell, script: SCRIPTS[shell] }, '');
  else streams.stdout.write(SCRIPTS[shell]);
}

async function complete({ session, streams }: Invocation<object>, words: readonly string[], root: Command): Promise<void> {
  const found = await candidates(root, words, async () => {
    const late = new Promise<readonly string[]>((resolve) => setTimeout(() => resolve([]), LOOK_MS).unref());
    const look = session().then(async (open) => [...new Set((await open.workflows()).map(shown))]);
    return Promise.race([look.catch(() => []), late]);
  });
  if (found.length > 0) streams.stdout.write(`${found.join('\n')}\n`);
}
