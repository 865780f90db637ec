import type { Session } from '../session.js';
import type { Facts } from './facts.js';
import { ok, unknown, type Finding } from './finding.js';

/** Which subjects cross the border of this user's account: only the server's HTTP monitoring tells. */
export interface Border {
  /** Of services and streams that other accounts may import. */
  readonly exports: readonly string[];
  /** Of services and streams of other accounts, as they are called there. */
  readonly imports: readonly string[];
}

interface Accountz {
  readonly server_id: string;
  readonly account_detail?: {
    readonly exports?: readonly { readonly subject: string }[];
    readonly imports?: readonly { readonly subject: string }[];
  };
}

/** The account of a connection without one. */
const GLOBAL = '$G';
const NO_JETSTREAM = /not enabled for account/;

/** Undefined where monitoring does not answer, or is of another server. */
export async function readBorder({ nc }: Session, account: string, url: string, timeoutMs: number): Promise<Border | undefined> {
  try {
    const response = await fetch(new URL(`/accountz?acc=${encodeURIComponent(account)}`, url), { signal: AbortSignal.timeout(timeoutMs) });
    const { server_id: server, account_detail: detail } = (await response.json()) as Accountz;
    if (server !== nc.info?.server_id || detail === undefined) return undefined;
    const subjects = (shared: readonly { readonly subject: string }[] = []): string[] => shared.map(({ subject }) => subject);
    return { exports: subjects(detail.exports), imports: subjects(detail.imports) };
  } catch {
    return undefined;
  }
}

/** The workspaces of a tenant's account; empty for another account. */
export function tenantWorkspaces({ border, prefix }: Facts): readonly string[] {
  const head = `${prefix}.run.`;
  return (border?.imports ?? [])
    .filter((subject) => subject.startsWith(head))
    .map((subject) => subject.slice(head.length).split('.')[0] as string);
}

/** Which of the two topologies of docs/security.md this is. Pure. */
export function topology(facts: Facts): Finding {
  const { user, border, prefix, jetStreamError } = facts;
  const account = user?.account ?? 'unknown';
  const workspaces = tenantWorkspaces(facts);
  if (workspaces.length > 0) return ok('topology', `account ${account} is a tenant's: it may start runs of ${workspaces.join(', ')}`);
  if (border?.exports.some((subject) => subject.startsWith(`${prefix}.run.`)))
    return ok('topology', `tenants have accounts of their own; all in account ${account} are trusted with every workspace`);
  if (border !== undefined || account === GLOBAL)
    return ok('topology', 'one account for all: every producer is trusted with every workspace, whatever its permissions');
  if (jetStreamError !== undefined && NO_JETSTREAM.test(jetStreamError))
    return unknown('topology', `account ${account} has no JetStream: a tenant's account, or one that was given none`, SEE);
  return unknown('topology', `whether tenants have accounts of their own is not seen from within account ${account}`, SEE);
}

const SEE = 'Pass --monitor with the URL of the HTTP monitoring of this server.';
