import type { ReplayCounts, ReplayReport } from './replay-log.js';

/** How far a replay is: stored with the commands up to there, so it is true whatever else is lost. */
export interface Checkpoint {
  /** Makes each mark another text. */
  readonly token: string;
  readonly position: number;
  readonly counts: ReplayCounts;
  readonly workedMs: number;
}

/** A report with what its last mark says. The log may lag behind it, and may be ahead over messages of which none was published. */
export function withCheckpoint(report: ReplayReport, text: string, markSequence: number): ReplayReport {
  const mark = JSON.parse(text) as Checkpoint;
  if (report.markSequence === markSequence && report.position >= mark.position) return report;
  return {
    ...report,
    markSequence,
    position: mark.position,
    counts: mark.counts,
    workedMs: Math.max(report.workedMs, mark.workedMs),
    invalid: report.invalid.filter(({ sequence }) => sequence <= mark.position),
  };
}
