/** What is measured at one moment, by name. */
export interface Sample {
  readonly atMs: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Limit {
  /** Growth in an hour that is still none. */
  readonly perHour: number;
  readonly unit: string;
}

export interface Row extends Limit {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly slopePerHour: number;
  readonly within: boolean;
}

const HOUR_MS = 3_600_000;

/** Theil and Sen: the median of the slopes between all pairs. A third of the samples may be anything. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const slopes: number[] = [];
  points.forEach(([x, y], i) => {
    for (const [later, value] of points.slice(i + 1)) if (later !== x) slopes.push((value - y) / (later - x));
  });
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  if (slopes.length === 0) return Number.NaN;
  return slopes.length % 2 === 1 ? (slopes[middle] as number) : ((slopes[middle - 1] as number) + (slopes[middle] as number)) / 2;
}

/** Samples that a slope needs. */
const ENOUGH = 5;

/** The second part of a series: the first one fills caches and streams. */
function pointsOf(samples: readonly Sample[], name: string, from: number): readonly (readonly [atMs: number, value: number])[] {
  const start = samples[0]?.atMs ?? 0;
  const end = samples.at(-1)?.atMs ?? 0;
  const judged = samples.filter(({ atMs }) => atMs >= start + from * (end - start));
  return judged.flatMap(({ atMs, values }): [number, number][] => (values[name] === undefined ? [] : [[atMs, values[name]]]));
}

/** Whether every value has been measured often enough to be judged. */
export function isEnough(samples: readonly Sample[], limits: Readonly<Record<string, Limit>>, from = 0.5): boolean {
  return Object.keys(limits).every((name) => pointsOf(samples, name, from).length >= ENOUGH);
}

/** Judges the second part of a series. A value that was never measured is not within its limit. */
export function judge(samples: readonly Sample[], limits: Readonly<Record<string, Limit>>, from = 0.5): readonly Row[] {
  return Object.entries(limits).map(([name, limit]) => {
    const points = pointsOf(samples, name, from);
    const slopePerHour = slope(points) * HOUR_MS;
    return {
      ...limit,
      name,
      first: points[0]?.[1] ?? Number.NaN,
      last: points.at(-1)?.[1] ?? Number.NaN,
      slopePerHour,
      within: points.length >= ENOUGH && slopePerHour <= limit.perHour,
    };
  });
}

export function table(rows: readonly Row[]): string {
  const number = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 1 });
  const lines = rows.map(({ name, unit, first, last, slopePerHour, perHour, within }) => [
    name,
    unit,
    number(first),
    number(last),
    number(slopePerHour),
    number(perHour),
    within ? 'ok' : 'GROWS',
  ]);
  const all = [['second part of the run', '', 'first', 'last', 'slope/h', 'limit/h', ''], ...lines];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => (line[column] ?? '').length))) ?? [];
  return all
    .map((line) =>
      line
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
