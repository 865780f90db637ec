import { ago, bytes, many } from '../text.js';
import type { Facts, StreamFact } from './facts.js';
import { ok, problem, warning, type Finding } from './finding.js';

/** Share of a limit from which a stream is nearly full. */
const FULL = 0.8;

/** Nothing of the server's own answers says so. */
export function storage({ storageError }: Facts): readonly Finding[] {
  if (storageError === undefined) return [];
  const fix = 'Make room on the disk of the nats-server, then restart it: it does not resume by itself. Acknowledged messages are kept.';
  return [problem('storage', storageError, fix)];
}

export function streamFindings({ name, info, drift: differing }: StreamFact): readonly Finding[] {
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

export function deadLetters({ dead, nowMs }: Facts): Finding {
  const { letters, newest } = dead;
  if (letters === 0) return ok('dead letters', 'none');
  return warning(
    'dead letters',
    `${many(letters, 'dead letter')}, the last one ${ago(newest, nowMs)}`,
    'See `loopstack dead list`; redrive them when the cause is mended, or discard them.',
  );
}
