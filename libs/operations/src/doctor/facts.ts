import type { SharedWorkflow } from '@loopstack/client';
import type { StreamInfo } from '@loopstack/jetstream';
import type { ClockSkew } from '@loopstack/shared/contract';
import type { Digest } from '../dead/unserved-digest.js';
import type { BindingInfo } from '../deployment/bindings.js';
import type { Queue } from '../deployment/deployment.js';
import type { Border, DiskSync } from './monitoring.js';

/** A user's rights, as the server tells them; absent lists allow everything. */
export interface Permissions {
  readonly publish?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

/** A stream of ours, and the fields in which it differs from what workers want. */
export interface StreamFact {
  readonly name: string;
  readonly info: StreamInfo | undefined;
  readonly drift: readonly { readonly field: string; readonly actual: unknown; readonly desired: unknown }[];
}

/** The state of a deployment, as far as the doctor could read it. */
export interface Facts {
  readonly server: {
    readonly name: string;
    readonly version: string;
    readonly cluster: string | undefined;
    readonly jetstream: boolean;
    readonly maxPayload: number;
    readonly roundTripMs: number;
  };
  /** Undefined: the server did not say. */
  readonly user: { readonly name: string; readonly account: string; readonly permissions: Permissions | undefined } | undefined;
  /** Undefined: the server did not tell its time. */
  readonly clockSkew: ClockSkew | undefined;
  /** Subjects that cross the border of the account; undefined: monitoring does not tell. */
  readonly border?: Border | undefined;
  /** How the server writes through to the disk. */
  readonly sync: DiskSync | undefined;
  /** The reason why JetStream does not answer this user. */
  readonly jetStreamError: string | undefined;
  readonly streams: readonly StreamFact[];
  readonly queues: readonly Queue[];
  /** Commands that wait for workflows without a queue. */
  readonly unserved: Pick<Digest, 'top' | 'names' | 'commands'>;
  /** Workflows that running releases serve in more than one way. */
  readonly shared: readonly SharedWorkflow[];
  /** Undefined: this user may not list them. */
  readonly bindings: readonly BindingInfo[] | undefined;
  /** Why the stream of commands cannot be written; undefined: it can, or this user may not try. */
  readonly storageError: string | undefined;
  /** Dead letters, and when the last one was given up. */
  readonly dead: { readonly letters: number; readonly newest: string | undefined };
  readonly prefix: string;
  /** JetStream domain of the streams. */
  readonly domain?: string | undefined;
  readonly nowMs: number;
}
