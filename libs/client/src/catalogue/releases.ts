import {
  MAX_NOTICES,
  contractKey,
  contractsOf,
  decodeContract,
  decodeNotice,
  noticeKey,
  running,
  type Contract,
  type HeardNotice,
  type RunAddress,
  type WireNames,
} from '@loopstack/shared/contract';
import type { StoredMessage } from '@loopstack/jetstream';

/** Reads one message of the catalogue bucket: the last one of a subject, or the next one that fits. */
export type ReadBucket = (
  position: { readonly last: string } | { readonly next: string; readonly sequence: number },
) => Promise<Pick<StoredMessage, 'subject' | 'sequence' | 'timeMs' | 'data'> | undefined>;

/** A notice, and of which workspace. */
export interface FoundNotice extends HeardNotice {
  readonly workspace: string;
  readonly key: string;
}

/** A workflow that running releases serve by several contracts. */
export interface SharedWorkflow extends RunAddress {
  readonly contracts: readonly string[];
  /** Names of the releases, as far as they have some. */
  readonly releases: readonly string[];
}

/** Contracts that are remembered: an id stands for one content. */
const MAX_KNOWN = 256;

/** Which releases run, and what they accept, as their workers say in the catalogue bucket. */
export class Releases {
  readonly #head: string;
  readonly #known = new Map<string, Contract>();

  readonly #read: ReadBucket;

  constructor(read: ReadBucket, { catalogue }: Pick<WireNames, 'catalogue'>) {
    this.#read = read;
    this.#head = `$KV.${catalogue}.`;
  }

  /** All notices of a workspace, or of all, also of releases that have fallen silent. */
  async notices(workspace = '*'): Promise<readonly FoundNotice[]> {
    const found: FoundNotice[] = [];
    const next = this.#head + noticeKey(workspace, '*');
    for (let sequence = 1; found.length < MAX_NOTICES;) {
      const message = await this.#read({ next, sequence });
      if (!message) break;
      sequence = message.sequence + 1;
      const notice = decodeNotice(message.data);
      const key = message.subject.slice(this.#head.length);
      if (notice) found.push({ ...notice, timeMs: message.timeMs, workspace: key.split('.')[1] as string, key });
    }
    return found;
  }

  /** By what running releases serve a workflow; those that ran last where none runs. */
  async contracts(address: RunAddress): Promise<ReadonlyMap<string, Contract>> {
    const found = new Map<string, Contract>();
    for (const id of contractsOf(address.workflow, await this.notices(address.workspace))) {
      const contract = await this.#contract(contractKey(address, id));
      if (contract) found.set(id, contract);
    }
    return found;
  }

  async #contract(key: string): Promise<Contract | undefined> {
    const known = this.#known.get(key);
    if (known) return known;
    const message = await this.#read({ last: this.#head + key });
    const contract = message && decodeContract(message.data);
    if (!contract) return undefined;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, contract);
    return contract;
  }

  /** Workflows that running releases serve by more than one contract: a deploy is under way. */
  async shared(): Promise<readonly SharedWorkflow[]> {
    const notices = await this.notices();
    return [...new Set(notices.map(({ workspace }) => workspace))].flatMap((workspace) => {
      const own = notices.filter((notice) => notice.workspace === workspace);
      const workflows = new Set(own.flatMap(({ contracts }) => Object.keys(contracts)));
      const releases = [...new Set(running(own).flatMap(({ release }) => release ?? []))];
      return [...workflows]
        .map((workflow) => ({ workspace, workflow, contracts: contractsOf(workflow, own), releases }))
        .filter(({ contracts }) => contracts.length > 1);
    });
  }
}
