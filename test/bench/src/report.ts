import { figure } from './lab.js';
import type { Machine } from './machine.js';
import { median, type Row } from './statistics.js';
import type { Target } from './targets.js';

export interface Report {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly cases: readonly {
    readonly name: string;
    readonly median: number;
    readonly min: number;
    readonly max: number;
    readonly unit: string;
  }[];
  readonly targets: readonly Target[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

const rounded = (value: number): number => Number(value.toPrecision(6));

export function report(about: Pick<Report, 'machine' | 'versions' | 'notes'>, rows: readonly Row[], targets: readonly Target[]): Report {
  const cases = rows
    .filter(({ values }) => values.length > 0)
    .map(({ name, unit, values }) => ({
      name,
      median: rounded(median(values)),
      min: rounded(Math.min(...values)),
      max: rounded(Math.max(...values)),
      unit,
    }));
  return { ...about, cases, targets };
}

/** A report with the cases of another one in their place, or at its end. */
export function merged(before: Report, own: Report): Report {
  const byName = <T extends { readonly name: string }>(old: readonly T[], fresh: readonly T[]): T[] => [
    ...new Map([...old, ...fresh].map((item) => [item.name, item])).values(),
  ];
  const judged = own.targets.filter(({ value }) => value !== null);
  return {
    ...before,
    versions: own.versions,
    cases: byName(before.cases, own.cases),
    targets: byName(before.targets, judged),
    notes: [...new Set([...(before.notes ?? []), ...own.notes])],
  };
}

const verdict = (met: boolean | null): string => (met === null ? 'not judged' : met ? 'yes' : '**no**');

export function markdown({ machine, versions, cases, targets, notes }: Report): string {
  const busy = machine.loadBefore > machine.cores ? ' Other work kept the machine busy: read ratios, not rates.' : '';
  return `# Benchmarks

\`npm run bench\` writes this page; [benchmarks.json](benchmarks.json) has the same figures. Every claim of speed in this
repository has its row here.

Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}; load average ${machine.loadBefore} before the run.${busy}
Versions: ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.

The server, the producer and each worker run in separate processes, as in a deployment. The contenders of a case take turns, round by round, each when
the servers have been idle for a moment: a redis-server that rewrites its append-only file takes a core for seconds. The table shows the median of the
rounds and their spread. In each round a new worker process drains a queue, and the first third is warm-up. Each round counts every order; if one is
lost or executes twice, the case fails. "The bare loop" is the \`nats\` client in callback mode with \`JSON.parse\` and an acknowledgement: no
validation, no framework. "Nats by hand" is the same client with its own acknowledgement inbox and with fast-ingest batches (NATS ADR-50), without
headers. BullMQ runs through \`@nestjs/bullmq\` on a redis-server that syncs its append-only file every second, and validates in its processor with
class-transformer and class-validator. Loopstack consumes what its own client published, headers included.
${notes.map((note) => `\n${note}\n`).join('')}
## Targets

Ratios are the median of the ratios of each round. "By hand" is the figure of code on the bare client that is written for the case alone, without
headers, message ids, validation or outcomes. A goal beyond that is out of reach on this machine.

| target | goal | value | by hand | met |
|---|---|---|---|---|
${targets.map(({ name, goal, value, ceiling, met }) => `| ${name} | ${goal} | ${value ?? '-'} | ${ceiling ?? ''} | ${verdict(met)} |`).join('\n')}

## Cases

| case | median | min | max | unit |
|---|---:|---:|---:|---|
${cases.map((row) => `| ${row.name} | ${figure(row.median)} | ${figure(row.min)} | ${figure(row.max)} | ${row.unit} |`).join('\n')}
`;
}
