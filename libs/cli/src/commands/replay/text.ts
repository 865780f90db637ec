import type { InvalidCommand, ReplayCommand, ReplayPreview, ReplayProgress, ReplayReport, ReplayStatus } from '@loopstack/operations';
import { printable } from '@loopstack/shared/contract';
import { count, many, span } from '../../format.js';
import { shown } from '../../target.js';
import type { Cell, Fact, Style, Terminal } from '../../terminal.js';

/** How a replay goes on, on one line. */
export function progressText({ counts, scanned, bound, perSecond, leftMs, waiting }: ReplayProgress): string {
  const share = bound > 0 ? Math.floor((100 * Math.min(scanned, bound)) / bound) : 100;
  const parts = [
    `${share} %`,
    `read ${count(counts.read)}`,
    `matched ${count(counts.matched)}`,
    `published ${count(counts.published)}`,
    ...(counts.invalid > 0 ? [`invalid ${count(counts.invalid)}`] : []),
    ...(perSecond > 0 ? [`${count(perSecond)}/s`] : []),
    ...(waiting === undefined ? [] : [WAITS[waiting]]),
    ...(leftMs === undefined || waiting === 'pause' ? [] : [`${span(leftMs)} left`]),
  ];
  return parts.join('  ');
}

const WAITS = { rate: 'limited by its rate', queue: 'waiting for the queue', server: 'waiting for the server', pause: 'paused' } as const;

/** What a replay would do. */
export function previewText(preview: ReplayPreview, terminal: Terminal): string {
  const { counts, ready, examples, invalid, estimatedMs } = preview;
  const lines = [
    `${many(ready, 'command')} would be published, of ${count(counts.read)} read`,
    ...passedOver(counts),
    `it would take about ${span(estimatedMs)}`,
  ];
  for (const { origin, before, after } of examples) {
    lines.push(
      '',
      terminal.style('dim', printable(`${origin.stream} ${origin.sequence}, ${origin.time}, ${origin.runId ?? origin.subject}`)),
      ...difference(before, after, terminal),
    );
  }
  if (counts.invalid > 0) lines.push('', ...refused(counts.invalid, invalid));
  return lines.join('\n');
}

function passedOver(counts: {
  readonly replayed: number;
  readonly dropped: number;
  readonly invalid: number;
  readonly busy?: number;
}): string[] {
  const { replayed, dropped, invalid, busy = 0 } = counts;
  return [
    ...(invalid > 0 ? [`${many(invalid, 'command')} refused`] : []),
    ...(replayed > 0 ? [`${many(replayed, 'command')} skipped: published by another replay (--include-replayed includes them)`] : []),
    ...(dropped > 0 ? [`${many(dropped, 'command')} dropped by the transform`] : []),
    ...(busy > 0 ? [`${many(busy, 'run')} skipped: not ended`] : []),
  ];
}

function refused(total: number, invalid: readonly InvalidCommand[]): string[] {
  const lines = [`refused: ${count(total)}`];
  for (const { sequence, code, message, errors = [] } of invalid) {
    lines.push(`  ${sequence}  ${code}  ${printable(message)}`);
    for (const field of errors) lines.push(`    ${printable(`${field.path}: ${field.message}`)}`);
  }
  if (invalid.length < total) lines.push(`  and ${count(total - invalid.length)} more`);
  return lines;
}

/** A command before and after, line by line; one that is published as it was is shown once. */
function difference(before: ReplayCommand, after: ReplayCommand, terminal: Terminal): string[] {
  const [old, now] = [flat(before), flat(after)];
  const lines: string[] = [`  ${shown(after)}  user ${printable(after.userId)}`];
  const keys = [...new Set([...old.keys(), ...now.keys()])];
  for (const key of keys) {
    const [was, is] = [old.get(key), now.get(key)].map((text) => (text === undefined ? undefined : printable(`${key}: ${text}`, 1000)));
    if (was === is) {
      if (key.startsWith('payload')) lines.push(`    ${is}`);
      continue;
    }
    if (was !== undefined) lines.push(terminal.style('red', `  - ${was}`));
    if (is !== undefined) lines.push(terminal.style('green', `  + ${is}`));
  }
  return lines;
}

/** Leaves of a command by their path; long ones are cut. */
function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
    for (const [key, child] of Object.entries(value))
      flat(child, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`, into);
  } else {
    const text = JSON.stringify(value) ?? 'undefined';
    into.set(path, text.length > 120 ? `${text.slice(0, 120)}…` : text);
  }
  return into;
}

const STYLES: Record<ReplayStatus, Style> = {
  running: 'blue',
  paused: 'yellow',
  interrupted: 'yellow',
  completed: 'green',
  aborted: 'magenta',
};

export const statusCell = (status: ReplayStatus): Cell => [status, STYLES[status]];

const WIDTH = 10;

/** The final report, and the record. */
export function reportText(report: ReplayReport, terminal: Terminal): string {
  const { id, status, counts, invalid, workedMs, by, at, request, stream, position, bound, error, actions, runner } = report;
  const rate = workedMs > 0 ? ` (${count(Math.round((counts.published * 1000) / workedMs))}/s)` : '';
  const head = `${'replay'.padEnd(WIDTH)} ${id}  ${terminal.style(STYLES[status], status)}${error === undefined ? '' : `  ${printable(error)}`}`;
  const rows: Fact[] = [
    ['by', `${by}, ${at}`],
    ['note', request.note],
    ['source', `${stream}, up to ${count(bound)}${status === 'completed' ? '' : `, done up to ${count(position)}`}`],
    ['read', count(counts.read)],
    ['matched', count(counts.matched)],
    ['published', `${count(counts.published)} in ${span(workedMs)}${rate}`],
    ...passedOver(counts).map((text): Fact => ['', text]),
    ['runner', status === 'running' || status === 'paused' ? runner : undefined],
    ...actions.slice(1).map(({ action, by: who, at: when }): Fact => [action, `${who}, ${when}`]),
  ];
  return [head, ...terminal.facts(rows, WIDTH), ...(counts.invalid > 0 ? refused(counts.invalid, invalid) : [])].join('\n');
}
