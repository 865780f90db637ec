/** One row: a case and who did it, over all rounds. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

/** @param share 0.5 is the median */
export function quantile(values: readonly number[], share: number): number {
  const list = sorted(values);
  return list[Math.min(list.length - 1, Math.floor(list.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => {
  const list = sorted(values);
  const half = list.length >> 1;
  return list.length % 2 === 1 ? (list[half] as number) : ((list[half - 1] as number) + (list[half] as number)) / 2;
};

/** The median of the ratios of each round: what slows the whole machine in one round slows both. */
export function ratio(of: readonly number[], to: readonly number[]): number {
  return median(of.map((value, round) => value / (to[round] as number)));
}
