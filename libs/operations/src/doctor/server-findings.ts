import { apiPrefix, isAtLeast, OLDEST_SERVER, type ServerRelease } from '@loopstack/jetstream';
import { isSkewed } from '@loopstack/shared/contract';
import { bytes, span } from '../text.js';
import type { Facts } from './facts.js';
import { ok, problem, unknown, warning, type Finding } from './finding.js';
import { tenantWorkspaces } from './topology.js';

/** Recurring schedules and fast batches came with it. */
const COMPLETE: ServerRelease = [2, 14];
const SLOW_MS = 100;

export function connection({ server, user }: Facts): Finding {
  const { name, cluster, roundTripMs } = server;
  const who = user === undefined ? '' : ` as ${user.name || 'a user without a name'} in account ${user.account}`;
  const text = `${name}${cluster === undefined ? '' : `, cluster ${cluster}`}${who}, round trip ${span(roundTripMs)}`;
  return roundTripMs > SLOW_MS
    ? warning('connection', text, 'Run workers nearer to the server: every run costs round trips.')
    : ok('connection', text);
}

export function version({ server }: Facts): Finding {
  const text = `nats-server ${server.version}, messages up to ${bytes(server.maxPayload)}`;
  if (!isAtLeast(server.version, OLDEST_SERVER))
    return problem('version', text, `Upgrade the server to ${OLDEST_SERVER.join('.')} or later.`);
  if (!isAtLeast(server.version, COMPLETE))
    return warning(
      'version',
      `${text}: no recurring schedules, no time zones`,
      `Upgrade the server to ${COMPLETE.join('.')} or later for them.`,
    );
  return ok('version', text);
}

export function jetStream(facts: Facts): Finding {
  const { server, jetStreamError, domain } = facts;
  if (tenantWorkspaces(facts).length > 0) return ok('jetstream', 'it belongs to the account of the workers: a tenant sees nothing else');
  if (!server.jetstream)
    return problem('jetstream', 'this server does not run JetStream', 'Start it with -js, or with a jetstream {} block.');
  if (jetStreamError !== undefined)
    return problem(
      'jetstream',
      jetStreamError,
      `Give the account JetStream, and this user the rights to ${apiPrefix(domain)}.>, or check that the cluster has a leader. The account of a tenant has none: use the credentials of the worker.`,
    );
  return ok('jetstream', 'JetStream answers');
}

export function durability({ sync }: Facts): Finding {
  const check = 'durability';
  if (sync === undefined)
    return unknown(
      check,
      'a client cannot see how the server writes through to the disk',
      'Pass --monitor http://<server>:8222, or look for sync_interval in its configuration.',
    );
  if (sync === 'always') return ok(check, 'what is acknowledged is on the disk (sync_interval: always)');
  return warning(
    check,
    `an operating system that fails can lose the last ${span(sync.everyMs)} of what was acknowledged`,
    'Set jetstream { sync_interval: always }, as config/nats/durable.conf does; replicas on other machines help, too.',
  );
}

export function clock({ clockSkew }: Facts): Finding {
  const check = 'clock';
  if (clockSkew === undefined)
    return unknown(
      check,
      'the server did not tell its time',
      'Allow this user to publish to $SYS.REQ.USER.INFO, or compare the clocks by hand.',
    );
  const { aheadMs } = clockSkew;
  if (!isSkewed(clockSkew)) return ok(check, `the server's clock and this one differ by ${span(Math.abs(aheadMs))}`);
  const text = `this machine's clock is ${span(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} the server's`;
  return warning(check, text, 'Keep clocks with NTP. Deadlines and schedules go by the server, as long as it tells its time.');
}
