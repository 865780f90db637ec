import type { JsonSchema } from '../schema/catalogue.js';
import type { RunAddress } from '../names/subject.js';

/*
 * While a new release is rolled out, workers of several releases consume the same durables. The catalogue bucket says which
 * ones run, and what each accepts, so that a command which one refuses is left to another.
 */

/** First token of the notices' keys: no workspace has such a name. */
const RUNNING = '=running';

/** Longest list of notices that is read. */
export const MAX_NOTICES = 256;
/** Most contracts of one workflow that are looked at, the ones last heard of first. */
export const MAX_CONTRACTS = 8;

/** What the workers of a release say of a workspace, again and again while they run. */
export interface ReleaseNotice {
  /** The release, where the application names it. */
  readonly release?: string;
  /** Silence after which the release does not run any more. */
  readonly silenceMs: number;
  /** By name of a workflow: the id of its contract. */
  readonly contracts: Readonly<Record<string, string>>;
}

/** What a release accepts as the payload of a workflow. Equal ones have one id. */
export interface Contract {
  /** Absent: any JSON value. */
  readonly payload?: JsonSchema;
}

/** A notice as the bucket holds it. */
export interface HeardNotice extends ReleaseNotice {
  /** When it was stored, by the server's clock. */
  readonly timeMs: number;
}

export const noticeKey = (workspace: string, notice: string): string => `${RUNNING}.${workspace}.${notice}`;
export const contractKey = ({ workspace, workflow }: RunAddress, contract: string): string => `${workspace}.${workflow}.${contract}`;

/**
 * Notices of releases that run. Clocks of processes do not count: the time that the server has stored is held against that of the last
 * notice of all. So where nothing runs, the releases that ran last are the ones. Pure.
 */
export function running<N extends HeardNotice>(notices: readonly N[]): readonly N[] {
  const lastMs = Math.max(...notices.map(({ timeMs }) => timeMs));
  return notices.filter(({ timeMs, silenceMs }) => lastMs - timeMs < silenceMs).toSorted((a, b) => b.timeMs - a.timeMs);
}

/** Ids of the contracts by which a workflow is served, the one last heard of first. Pure. */
export function contractsOf(workflow: string, notices: readonly HeardNotice[]): readonly string[] {
  const ids = running(notices)
    .filter(({ contracts }) => Object.hasOwn(contracts, workflow))
    .map(({ contracts }) => contracts[workflow] as string);
  return [...new Set(ids)].slice(0, MAX_CONTRACTS);
}

const decoder = new TextDecoder();
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The notice in a message of the bucket, or undefined for one that is none. */
export function decodeNotice(bytes: Uint8Array): ReleaseNotice | undefined {
  const value = parsed(bytes);
  if (!value || typeof value['silenceMs'] !== 'number' || !isRecord(value['contracts'])) return undefined;
  if (!Object.values(value['contracts']).every((id) => typeof id === 'string' && /^[\w-]{1,64}$/.test(id))) return undefined;
  return value as unknown as ReleaseNotice;
}

/** The contract in a message of the bucket, or undefined for one that is none. */
export function decodeContract(bytes: Uint8Array): Contract | undefined {
  const value = parsed(bytes);
  return value && (value['payload'] === undefined || isRecord(value['payload'])) ? value : undefined;
}
