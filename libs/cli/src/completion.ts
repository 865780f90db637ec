import type { Command } from 'commander';

/** Without `help`, and without what is not for users. */
function visible(command: Command): string[] {
  const shown = command.createHelp().visibleCommands(command);
  return command.commands.filter((one) => shown.includes(one)).map((one) => one.name());
}

/**
 * What may stand for the last of the words: commands, options, choices of an option, and names of workflows where a
 * target is asked for.
 * @param targets asks the server; called only where a target may stand
 */
export async function candidates(
  root: Command,
  words: readonly string[],
  targets: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const typed = words.at(-1) ?? '';
  let command = root;
  const rest: string[] = [];
  for (const word of words.slice(0, -1)) {
    const child = rest.length === 0 ? command.commands.find((one) => one.name() === word || one.aliases().includes(word)) : undefined;
    if (child) command = child;
    else rest.push(word);
  }
  const options = [...command.options, ...(command === root ? [] : root.options)].filter(({ hidden }) => !hidden);
  const before = words.at(-2) ?? '';
  const option = options.find(({ long, short }) => before !== '' && (long === before || short === before));
  const starts = (names: readonly string[]): readonly string[] => names.filter((name) => name.startsWith(typed));
  if (option && !option.isBoolean() && (option.required || option.optional)) {
    return option.long === '--to' ? starts(await targets()) : starts(option.argChoices ?? []);
  }
  if (typed.startsWith('-')) return starts([...options.flatMap(({ long }) => (long ? [long] : [])), '--help']);
  if (command.commands.length > 0) return starts(visible(command));
  const argument = command.registeredArguments[rest.filter((word) => !word.startsWith('-')).length];
  if (argument?.name() === 'target') return starts(await targets());
  return starts(argument?.argChoices ?? []);
}
