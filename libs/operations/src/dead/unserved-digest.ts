import type { RunAddress } from '@loopstack/shared/contract';

/** Commands of a workflow that no worker has ever served. */
export interface UnservedCommands extends RunAddress {
  readonly commands: number;
}

/** Names that a digest keeps; of others it knows their number. */
const TOP = 10;

/** Commands of workflows that no worker serves, in constant space: the names with most commands, and the sums. */
export class Digest {
  readonly #top: UnservedCommands[] = [];
  names = 0;
  commands = 0;

  get top(): readonly UnservedCommands[] {
    return this.#top;
  }

  /** @param commands of one subject; a workflow has one for each priority */
  add({ workspace, workflow }: RunAddress, commands: number): void {
    this.commands += commands;
    const place = this.#top.findIndex((entry) => entry.workspace === workspace && entry.workflow === workflow);
    if (place < 0) this.names++;
    const [known] = place < 0 ? [] : this.#top.splice(place, 1);
    const entry = { workspace, workflow, commands: commands + (known?.commands ?? 0) };
    const before = this.#top.findIndex((other) => other.commands < entry.commands);
    this.#top.splice(before < 0 ? this.#top.length : before, 0, entry);
    if (this.#top.length > TOP) this.#top.pop();
  }
}

/** `Orders.A (3 so far), Orders.B (1 so far) and 19,990 other workflows`. */
export function shownNames({ top, names }: Digest): string {
  const shown = top.map(({ workspace, workflow, commands }) => `${workspace}.${workflow} (${commands} so far)`).join(', ');
  return names > top.length ? `${shown} and ${(names - top.length).toLocaleString('en-US')} other workflows` : shown;
}
