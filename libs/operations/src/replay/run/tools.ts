import type { JetStreamApi } from '@loopstack/jetstream';
import type { CommandSigner, WireNames } from '@loopstack/shared/contract';
import type { ReplayLog } from '../replay-log.js';
import type { CommandSelector } from '../select/command-selector.js';
import type { RunHistories } from '../select/run-histories.js';
import type { CommandBatches } from './command-batches.js';

/** The parts of the deployment that a running replay works with. */
export interface ReplayTools {
  readonly api: JetStreamApi;
  readonly names: WireNames;
  readonly log: ReplayLog;
  readonly selector: CommandSelector;
  readonly batches: CommandBatches;
  readonly histories: RunHistories;
  readonly sign: CommandSigner | undefined;
}
