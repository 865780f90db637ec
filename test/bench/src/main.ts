// `npm run bench`: measures this project beside what a user would pick instead. `npm run bench -- --short` takes less
// than a minute and writes nothing; `--only <words>` runs the cases whose title has them; `--rounds <n>`; `--orders <n>`;
// `--write` with `--only` replaces the rows of those cases in docs/benchmarks.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { consumingNarrow, consumingWide, workers } from './cases/consume.js';
import { flatByBacklog, flatByWorkflows, startUp } from './cases/growth.js';
import { latency } from './cases/latency.js';
import { batches, durablePublishing, publishing } from './cases/publish.js';
import { scaling } from './cases/scaling.js';
import { fanOut, replay } from './cases/spread.js';
import { Lab, type Plan } from './lab.js';
import { machine, versions } from './machine.js';
import { markdown, merged, report, type Report } from './report.js';
import { targets } from './targets.js';

const CASES: readonly { readonly title: string; readonly run: (lab: Lab) => Promise<void>; readonly short: boolean }[] = [
  { title: 'publish', run: publishing, short: true },
  { title: 'batch', run: batches, short: true },
  { title: 'durable', run: durablePublishing, short: true },
  { title: 'consume', run: consumingWide, short: true },
  { title: 'narrow', run: consumingNarrow, short: false },
  { title: 'latency', run: latency, short: true },
  { title: 'workers', run: workers, short: false },
  { title: 'start-up', run: startUp, short: false },
  { title: 'backlog', run: flatByBacklog, short: false },
  { title: 'workflows', run: flatByWorkflows, short: false },
  { title: 'fan-out', run: fanOut, short: false },
  { title: 'replay', run: replay, short: false },
  { title: 'scaling', run: scaling, short: false },
];

const { values: given } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    orders: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const plan: Plan = {
  short: given.short,
  rounds: Number(given.rounds ?? (given.short ? 1 : 5)),
  orders: Number(given.orders ?? (given.short ? 8_000 : 40_000)),
};
const about = machine();
const notes: string[] = [];
const say = (line: string): void => {
  console.log(line);
  if (line.includes('left out')) notes.push(line);
};

const lab = await Lab.start(plan, say);
try {
  const known = await versions(lab);
  console.log(`${about.cpu}, ${about.cores} cores, load ${about.loadBefore}; node ${known['node']}, nats-server ${known['nats-server']}`);
  for (const { title, run, short } of CASES) {
    if (given.only === undefined ? plan.short && !short : !title.includes(given.only)) continue;
    await run(lab);
  }
  const reached = targets(lab.rows, about.cores);
  for (const { name, goal, value, met } of reached) {
    if (value !== null) console.log(`${met === null ? 'not judged' : met ? 'met       ' : 'NOT MET   '} ${name}: ${value} (${goal})`);
  }
  // The short form must not replace the figures that the documents cite; a part of the cases replaces its own rows, if asked to.
  if (given.write || (!plan.short && given.only === undefined)) {
    const docs = fileURLToPath(new URL('../../../docs', import.meta.url));
    mkdirSync(docs, { recursive: true });
    const file = `${docs}/benchmarks.json`;
    const own = report({ machine: about, versions: known, notes }, lab.rows, reached);
    const all = given.only === undefined ? own : merged(JSON.parse(readFileSync(file, 'utf8')) as Report, own);
    writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
    writeFileSync(`${docs}/benchmarks.md`, markdown(all));
    console.log('docs/benchmarks.md and docs/benchmarks.json are written');
  }
} finally {
  await lab.stop();
}
process.exit();
