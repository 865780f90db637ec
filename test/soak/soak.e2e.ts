import { soak, type SoakForm } from './soak.js';
import { judge, slope, table, type Limit, type Sample } from './slopes.js';

/** `npm run test:soak`: the long form; `npm test` runs a short one, which proves that the harness works. */
const MINUTES = Number(process.env['LOOPSTACK_SOAK_MINUTES'] ?? '0');

const STREAMS = ['runs', 'events', 'dead', 'schedules'] as const;

function limits(heap: number, rss: number, handles: number, messages: number): Record<string, Limit> {
  const found: Record<string, Limit> = {
    'worker heap': { perHour: heap, unit: 'MiB' },
    'worker rss': { perHour: rss, unit: 'MiB' },
    'worker handles': { perHour: handles, unit: '' },
    'producer heap': { perHour: heap, unit: 'MiB' },
    'producer handles': { perHour: handles, unit: '' },
    consumers: { perHour: 0.5, unit: '' },
  };
  for (const stream of STREAMS) found[`${stream} left over`] = { perHour: messages, unit: 'messages' };
  return found;
}

const LONG: SoakForm = {
  forMs: MINUTES * 60_000,
  everyMs: 5000,
  roundMs: 1000,
  killEveryMs: 60_000,
  keepExecutedMs: 30_000,
  maxAgeMs: 60_000,
  limits: limits(12, 120, 30, 120),
};

/** In so short a time everything warms up: the limits find what grows with each run, and nothing less. */
const SHORT: SoakForm = {
  forMs: 20_000,
  everyMs: 500,
  roundMs: 250,
  killEveryMs: 3000,
  keepExecutedMs: 1000,
  maxAgeMs: 3000,
  limits: {
    'worker heap': { perHour: 2500, unit: 'MiB' },
    'worker handles': { perHour: 20_000, unit: '' },
    consumers: { perHour: 0.5, unit: '' },
    'dead left over': { perHour: 3600, unit: 'messages' },
    'events left over': { perHour: 3600, unit: 'messages' },
    'runs left over': { perHour: 3600, unit: 'messages' },
    'schedules left over': { perHour: 3600, unit: 'messages' },
  },
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const series = (value: (i: number) => number): Sample[] =>
  Array.from({ length: 100 }, (_, i) => ({ atMs: i * 1000, values: { x: value(i) } }));

describe('a slope', () => {
  it('is that of the line, whatever a third of the points is', () => {
    const points = Array.from({ length: 50 }, (_, i): [number, number] => [i, i % 4 === 0 ? 1e9 * (i % 3) : 3 * i + 7]);
    expect(slope(points)).toBeCloseTo(3, 0);
    expect(slope([[1, 5]])).toBeNaN();
  });

  it('is judged in the second part; what was not measured is not within its limit', () => {
    const limit = { x: { perHour: 100, unit: '' } };
    const within = (samples: readonly Sample[]): boolean | undefined => judge(samples, limit)[0]?.within;
    // Fills at first, and stays.
    expect(within(series((i) => Math.min(i, 40)))).toBe(true);
    expect(within(series((i) => i / 10))).toBe(false);
    expect(within(series((i) => (i % 2) * 50))).toBe(true);
    expect(within([])).toBe(false);
    expect(
      judge(
        series(() => 1),
        { y: { perHour: 1, unit: '' } },
      )[0]?.within,
    ).toBe(false);
  });
});

describe('a soak', () => {
  const long = MINUTES > 0 ? it : it.skip;
  const short = MINUTES > 0 ? it.skip : it;

  long(
    'grows nowhere: runs, retries, cancels, schedules, chains, dead letters, and a worker that is killed each minute',
    async () => {
      const report = await soak(LONG, print);
      const { samples, rounds, accepted, kills } = report;
      print(`soak of ${MINUTES} minutes: ${samples} samples, ${rounds} rounds, ${accepted} calls accepted, ${kills} workers killed`);
      print(table(report.rows));
      expect(report.refused).toEqual([]);
      expect(report.rows.filter(({ within }) => !within)).toEqual([]);
    },
    MINUTES * 60_000 + 300_000,
  );

  short('of seconds grows nowhere, or no harness would be of use', async () => {
    const report = await soak(SHORT, () => undefined);
    print(table(report.rows));
    expect(report.refused).toEqual([]);
    expect(report.kills).toBeGreaterThan(0);
    expect(report.rows.filter(({ within }) => !within)).toEqual([]);
  });

  short('tells of a worker that keeps memory of some runs', async () => {
    const form: SoakForm = { ...SHORT, forMs: 12_000, leak: true };
    const { rows } = await soak(form, () => undefined);
    expect(rows.find(({ name }) => name === 'worker heap')?.within).toBe(false);
  });
});
