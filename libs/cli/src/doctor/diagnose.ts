import { isAtLeast, OLDEST_SERVER, type ServerRelease } from '@loopstack/jetstream';
import type { BindingInfo, Queue } from '@loopstack/operations';
import { isSkewed, wireNames } from '@loopstack/shared/contract';
import { ago, bytes, count, many, span } from '../format.js';
import { shown } from '../target.js';
import type { Facts, StreamFact } from './facts.js';
import { ok, problem, unknown, warning, type Finding } from './finding.js';
import { permissions } from './permissions.js';
import { releaseFindings } from './releases.js';
import { tenantWorkspaces, topology } from './topology.js';

/** Recurring schedules and fast batches came with it. */
const COMPLETE: ServerRelease = [2, 14];
const SLOW_MS = 100;
const STUCK_MS = 120_000;
const FULL = 0.8;

/** Judges facts. Pure. */
export function diagnose(facts: Facts): readonly Finding[] {
  // What it lacks would show as other problems, whose remedies cannot help.
  if (!isAtLeast(facts.server.version, OLDEST_SERVER)) return [connection(facts), version(facts)];
  return [
    connection(facts),
    version(facts),
    topology(facts),
    jetStream(facts),
    ...permissions(facts),
    ...(facts.jetStreamError === undefined
      ? [
          ...facts.streams.flatMap(streamFindings),
          ...storage(facts),
          ...queueFindings(facts),
          ...releaseFindings(facts),
          ...bindingFindings(facts),
          deadLetters(facts),
        ]
      : []),
    durability(facts),
    clock(facts),
  ];
}

function connection({ server, user }: Facts): Finding {
  const { name, cluster, roundTripMs } = server;
  const who = user === undefined ? '' : ` as ${user.name || 'nobody in particular'} in account ${user.account}`;
  const text = `${name}${cluster === undefined ? '' : `, cluster ${cluster}`}${who}, round trip ${span(roundTripMs)}`;
  return roundTripMs > SLOW_MS
    ? warning('connection', text, 'Run workers nearer to the server: every run costs round trips.')
    : ok('connection', text);
}

function version({ server }: Facts): Finding {
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

function jetStream(facts: Facts): Finding {
  const { server, jetStreamError } = facts;
  if (tenantWorkspaces(facts).length > 0) return ok('jetstream', 'it is of the account of the workers: nothing else is seen from here');
  if (!server.jetstream) return problem('jetstream', 'the server has no JetStream', 'Start it with -js, or with a jetstream {} block.');
  if (jetStreamError !== undefined)
    return problem(
      'jetstream',
      jetStreamError,
      'Give the account JetStream, and this user the rights to $JS.API.>, or check that the cluster has a leader. The account of a tenant has none: use the credentials of the worker.',
    );
  return ok('jetstream', 'JetStream answers');
}

/** Nothing of the server's own answers says so. */
function storage({ storageError }: Facts): readonly Finding[] {
  if (storageError === undefined) return [];
  const fix = 'Make room on the disk of the nats-server, then restart it: it does not resume by itself. Acknowledged messages are kept.';
  return [problem('storage', storageError, fix)];
}

function streamFindings({ name, info, drift: differing }: StreamFact): readonly Finding[] {
  if (!info)
    return [
      problem(
        `stream ${name}`,
        'it does not exist',
        'Start a worker that may provision it, or create it with the configuration that a worker would give it.',
      ),
    ];
  const { state, config } = info;
  const text = `${many(state.messages, 'message')}, ${bytes(state.bytes)}`;
  const findings: Finding[] = [];
  for (const { field, actual, desired } of differing) {
    findings.push(
      problem(
        `stream ${name}`,
        `${field} is ${JSON.stringify(actual) ?? 'unset'}, needed is ${JSON.stringify(desired)}`,
        'Start a worker that may provision it, or change the stream.',
      ),
    );
  }
  const limits = [
    ['bytes', state.bytes, config['max_bytes']],
    ['messages', state.messages, config['max_msgs']],
  ] as const;
  for (const [what, used, limit] of limits) {
    if (typeof limit === 'number' && limit > 0 && used > FULL * limit)
      findings.push(
        warning(
          `stream ${name}`,
          `${Math.round((100 * used) / limit)} % of its ${what} are used`,
          'Raise the limit, or let workers catch up; a full stream refuses runs.',
        ),
      );
  }
  return findings.length > 0 ? findings : [ok(`stream ${name}`, text)];
}

function queueFindings({ queues, unserved, prefix, nowMs }: Facts): readonly Finding[] {
  const check = 'queues';
  const nobodys = unserved.top.map((waiting) =>
    problem(
      `queue ${shown(waiting)}`,
      `${many(waiting.commands, 'command')} waiting, and no worker has ever served this workflow`,
      'Start a worker that has it. If the name is wrong, cancel them (`loopstack runs cancel`), or replay them under the right one (`--patch`).',
    ),
  );
  if (unserved.names > unserved.top.length) {
    nobodys.push(
      problem(
        'queues of no worker',
        `${many(unserved.names, 'workflow')} that no worker has ever served, ${many(unserved.commands, 'command')} waiting`,
        'Find the producer that makes names up. Those of a thousand wait (`runs.unservedAfter`); what comes for others is a dead letter, unroutable.',
      ),
    );
  }
  if (queues.length === 0) return [warning(check, 'no worker has ever served a workflow here', 'Start a worker.'), ...nobodys];
  const findings = [...queues.flatMap((queue) => stuck(queue, wireNames(prefix).streams.runs, nowMs)), ...nobodys];
  const queued = queues.reduce((sum, { pending }) => sum + pending, 0);
  return findings.length > 0 ? findings : [ok(check, `${many(queues.length, 'queue')}, ${many(queued, 'command')} waiting`)];
}

function stuck(queue: Queue, stream: string, nowMs: number): readonly Finding[] {
  const { durable, info, pending, active, pulls, paused, lastDelivery, lastAck } = queue;
  const check = `queue ${shown(queue)}${queue.lane === undefined ? '' : ` (${queue.lane})`}`;
  const since = (time: string | undefined): number => (time === undefined ? Number.POSITIVE_INFINITY : nowMs - Date.parse(time));
  if (paused)
    return [
      warning(
        check,
        `paused until ${String(info.config['pause_until'])}, ${many(pending, 'command')} waiting`,
        `To let it go on: nats consumer resume ${stream} ${durable}.`,
      ),
    ];
  if (pending > 0 && pulls === 0 && active === 0)
    return [
      problem(
        check,
        `${many(pending, 'command')} waiting and no worker takes them`,
        'Start a worker that has this workflow, or discard what nobody will run.',
      ),
    ];
  const quiet = Math.min(since(lastDelivery), since(lastAck));
  if (pending > 0 && quiet > STUCK_MS)
    return [
      problem(
        check,
        `${many(pending, 'command')} waiting, ${count(active)} held, and nothing has moved ${ago(lastDelivery ?? lastAck, nowMs) || 'yet'}`,
        'Look at the log of its workers; a restart gives their commands to others.',
      ),
    ];
  return [];
}

function bindingFindings({ bindings, nowMs }: Facts): readonly Finding[] {
  const check = 'bindings';
  if (bindings === undefined)
    return [
      unknown(check, 'this user may not list them', 'Allow it $JS.API.STREAM.NAMES, $JS.API.CONSUMER.NAMES.* and $JS.API.CONSUMER.INFO.>.'),
    ];
  // Most deployments have none, and need not read of them.
  if (bindings.length === 0) return [];
  const findings = bindings.flatMap((binding) => heldUp(binding, nowMs));
  const pending = bindings.reduce((sum, binding) => sum + binding.pending, 0);
  return findings.length > 0 ? findings : [ok(check, `${many(bindings.length, 'binding')}, ${many(pending, 'event')} waiting`)];
}

function heldUp(binding: BindingInfo, nowMs: number): readonly Finding[] {
  const { durable, stream, pending, unsettled, consumed, pausedUntil, lastActive } = binding;
  const check = `binding ${durable}`;
  const waiting = `${many(pending, 'event')} of ${stream} waiting`;
  if (pausedUntil !== undefined)
    return [warning(check, `paused until ${pausedUntil}, ${waiting}`, `To let it go on: nats consumer resume ${stream} ${durable}.`)];
  if (pending + unsettled === 0 || consumed) return [];
  if (unsettled > 0) {
    // A process that has as many as it takes asks for no more, and one that was killed leaves them as they are.
    const quiet = lastActive === undefined ? Number.POSITIVE_INFINITY : nowMs - Date.parse(lastActive);
    if (quiet <= STUCK_MS) return [];
    const message = `${waiting}, ${count(unsettled)} held, and nothing has moved ${ago(lastActive, nowMs) || 'yet'}`;
    return [problem(check, message, 'Start what declares it. If that runs, look at its log; a restart gives its events to others.')];
  }
  return [
    problem(
      check,
      `${waiting} and nobody consumes it`,
      'Start what declares it. If nothing does any more, `loopstack bindings remove` ends it; the events stay in their stream.',
    ),
  ];
}

function deadLetters({ dead, nowMs }: Facts): Finding {
  const { letters, newest } = dead;
  if (letters === 0) return ok('dead letters', 'none');
  return warning(
    'dead letters',
    `${many(letters, 'dead letter')}, the last one ${ago(newest, nowMs)}`,
    'See `loopstack dead list`; redrive them when the cause is mended, or discard them.',
  );
}

function durability({ sync }: Facts): Finding {
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

function clock({ clockSkew }: Facts): Finding {
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
