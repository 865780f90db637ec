import type { Facts } from './facts.js';
import { ok, unknown, type Finding } from './finding.js';

/** The account of a connection without one. */
const GLOBAL = '$G';
const NO_JETSTREAM = /not enabled for account/;

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
