/**
 * The one place that reads clocks. A duration is measured by `monotonicMs`, which no step of the wall clock moves. A point in
 * time that others read, too, is taken from a server's clock (`ServerClock` of the client); `localMs` is what remains: this
 * machine's own opinion, where no server has been asked.
 */

/** Added, so that 0 is long ago also on a machine that has just started: what was never asked, heard or kept says 0. */
const DAY_MS = 86_400_000;
/** Each thread counts `performance.now()` from its own start; `hrtime` is the same for all threads of a machine. */
const threadBeganAtMs = Number(process.hrtime.bigint()) / 1e6 - performance.now() + DAY_MS;

/** Whole milliseconds since some moment in the past, the same in all threads of this machine. Only differences mean anything. */
export function monotonicMs(): number {
  return Math.floor(threadBeganAtMs + performance.now());
}

/** Milliseconds since the epoch by this machine's wall clock, which may be wrong and may be set at any moment. */
export function localMs(): number {
  return Date.now();
}

/** A question to a server whose answer carries the server's time: when it was asked and answered (`monotonicMs`), and that time. */
export interface ClockSample {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly serverMs: number;
}

/** How far the server's clock is ahead of this machine's, within `errorMs` both ways. */
export interface ClockSkew {
  readonly aheadMs: number;
  readonly errorMs: number;
}

/** What the whole milliseconds of both clocks hide. */
const ROUNDED_MS = 2;
/** Clocks that NTP keeps are nearer to each other by far. */
const MAX_SKEW_MS = 1000;

/**
 * What to add to `monotonicMs` for the server's time, given what was believed before. The server read its clock between question and
 * answer: what was believed stays as long as that allows it, so that a slow answer never makes a skew that is not there. Pure.
 */
export function serverOffset(believedMs: number, { askedAtMs, answeredAtMs, serverMs }: ClockSample): number {
  const least = serverMs - answeredAtMs - ROUNDED_MS;
  const most = serverMs - askedAtMs + ROUNDED_MS;
  return believedMs >= least && believedMs <= most ? believedMs : Math.round((least + most) / 2);
}

/** Whether the clocks differ by more than a second for sure. Pure. */
export function isSkewed({ aheadMs, errorMs }: ClockSkew): boolean {
  return Math.abs(aheadMs) - errorMs > MAX_SKEW_MS;
}

/** What is wrong with the clock of this machine, and what to do; undefined if nothing is for sure. Pure. */
export function skewProblem(skew: ClockSkew): string | undefined {
  if (!isSkewed(skew)) return undefined;
  const { aheadMs } = skew;
  const [seconds, side] = [(Math.abs(aheadMs) / 1000).toFixed(1), aheadMs > 0 ? 'behind' : 'ahead of'];
  return `the clock of this machine is ${seconds} s ${side} the server's: keep it with NTP; deadlines and schedules go by the server's`;
}
