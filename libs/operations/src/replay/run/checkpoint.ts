import type { ReplayCounts, ReplayReport } from '../replay-log.js';

/** How far a replay is. It is stored in one batch with the commands up to there, so it is true whatever else is lost. */
export interface Checkpoint {
  /** Makes the text of each checkpoint unique. */
  readonly token: string;
  readonly position: number;
  readonly counts: ReplayCounts;
  readonly workedMs: number;
}

/** A report with what its last checkpoint says. The record may lag behind it, and may be ahead over messages of which none was published. */
export function withCheckpoint(report: ReplayReport, text: string, checkpointSequence: number): ReplayReport {
  const checkpoint = JSON.parse(text) as Checkpoint;
  if (report.checkpointSequence === checkpointSequence && report.position >= checkpoint.position) return report;
  return {
    ...report,
    checkpointSequence,
    position: checkpoint.position,
    counts: checkpoint.counts,
    workedMs: Math.max(report.workedMs, checkpoint.workedMs),
    invalid: report.invalid.filter(({ sequence }) => sequence <= checkpoint.position),
  };
}
