import { apiPrefix } from '@loopstack/jetstream';
import type { RunAddress } from '@loopstack/shared/contract';
import type { BindingInfo } from '../deployment/bindings.js';
import type { Queue } from '../deployment/deployment.js';
import { ago, count, many, shownAddress } from '../text.js';
import type { Facts } from './facts.js';
import { ok, problem, unknown, warning, type Finding } from './finding.js';

/** Without a delivery or an acknowledgement for so long, a queue is stuck. */
const STUCK_MS = 120_000;

export function queueFindings(facts: Facts): readonly Finding[] {
  const { queues, unserved } = facts;
  const check = 'queues';
  const unservedOnes = unserved.top.map((waiting) =>
    problem(
      `queue ${shownAddress(waiting)}`,
      `${many(waiting.commands, 'command')} waiting, and no worker has ever served this workflow`,
      `Start a worker that has it. If the name is wrong, cancel the runs (${cancelQueued(waiting)}), or replay them under the right one (\`--patch\`).`,
    ),
  );
  if (unserved.names > unserved.top.length) {
    unservedOnes.push(
      problem(
        'queues of no worker',
        `${many(unserved.names, 'workflow')} that no worker has ever served, ${many(unserved.commands, 'command')} waiting`,
        'Find the producer that makes names up. Those of a thousand wait (`runs.unservedAfter`); what comes for others is a dead letter, unroutable.',
      ),
    );
  }
  if (queues.length === 0) return [warning(check, 'no worker has ever served a workflow here', 'Start a worker.'), ...unservedOnes];
  const findings = [...queues.flatMap((queue) => stuck(queue, facts)), ...unservedOnes];
  const queued = queues.reduce((sum, { pending }) => sum + pending, 0);
  return findings.length > 0 ? findings : [ok(check, `${many(queues.length, 'queue')}, ${many(queued, 'command')} waiting`)];
}

function stuck(queue: Queue, { nowMs }: Facts): readonly Finding[] {
  const { pending, active, pulls, paused, pausedUntil, lastDelivery, lastAck } = queue;
  const check = `queue ${shownAddress(queue)}${queue.lane === undefined ? '' : ` (${queue.lane})`}`;
  const since = (time: string | undefined): number => (time === undefined ? Number.POSITIVE_INFINITY : nowMs - Date.parse(time));
  if (paused)
    return [
      warning(
        check,
        `paused until ${String(pausedUntil)}, ${many(pending, 'command')} waiting`,
        `To let it go on, on all its queues: \`loopstack workflows resume ${shownAddress(queue)}\`.`,
      ),
    ];
  if (pending > 0 && pulls === 0 && active === 0)
    return [
      problem(
        check,
        `${many(pending, 'command')} waiting and no worker takes them`,
        `Start a worker that has this workflow, or cancel the runs: ${cancelQueued(queue)}.`,
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

export function bindingFindings(facts: Facts): readonly Finding[] {
  const { bindings, domain } = facts;
  const check = 'bindings';
  const api = apiPrefix(domain);
  if (bindings === undefined)
    return [
      unknown(check, 'this user may not list them', `Allow it ${api}.STREAM.NAMES, ${api}.CONSUMER.NAMES.* and ${api}.CONSUMER.INFO.>.`),
    ];
  // Most deployments have none, and need not read of them.
  if (bindings.length === 0) return [];
  const findings = bindings.flatMap((binding) => heldUp(binding, facts));
  const pending = bindings.reduce((sum, binding) => sum + binding.pending, 0);
  return findings.length > 0 ? findings : [ok(check, `${many(bindings.length, 'binding')}, ${many(pending, 'event')} waiting`)];
}

function heldUp(binding: BindingInfo, { domain, nowMs }: Facts): readonly Finding[] {
  const { durable, stream, pending, unsettled, consumed, pausedUntil, lastActive } = binding;
  const check = `binding ${durable}`;
  const waiting = `${many(pending, 'event')} of ${stream} waiting`;
  if (pausedUntil !== undefined)
    return [warning(check, `paused until ${pausedUntil}, ${waiting}`, `To let it go on: ${resume(domain, stream, durable)}.`)];
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
      `${waiting} and no process consumes it`,
      'Start what declares it. If nothing does any more, `loopstack bindings remove` ends it; the events stay in their stream.',
    ),
  ];
}

/** The command that cancels what waits for a workflow. */
const cancelQueued = ({ workspace, workflow }: RunAddress): string =>
  `\`loopstack runs cancel --workspace ${workspace} --workflow ${workflow} --status queued\``;

/** The command of the nats command line that ends a pause. */
const resume = (domain: string | undefined, stream: string, durable: string): string =>
  `nats ${domain === undefined ? '' : `--js-domain ${domain} `}consumer resume ${stream} ${durable}`;
