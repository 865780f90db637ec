import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { WorkerProcess } from '../rig/worker-process.js';
import { Rig, until } from '../rig/rig.js';
import { Load, WORKFLOWS, type LoadOptions } from './load.js';
import { isEnough, judge, type Limit, type Row, type Sample } from './slopes.js';

const MIB = 1024 * 1024;

/** How long what is not needed is kept, and what is measured, in one form of the soak. */
export interface SoakForm extends LoadOptions {
  readonly forMs: number;
  readonly everyMs: number;
  readonly keepExecutedMs: number;
  readonly maxAgeMs: number;
  readonly limits: Readonly<Record<string, Limit>>;
}

/** Messages may stay this much longer than their age: trims have intervals, and a machine is busy. */
const SLACK_MS = 10_000;

interface Usage {
  readonly heap: number;
  readonly rss: number;
  readonly handles: number;
}

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

/** Messages of the streams that are older than they should be: what was stored by then, and is there still. */
class Leftovers {
  readonly #seen = new Map<string, { readonly atMs: number; readonly last: number }[]>();

  constructor(private readonly keptMs: Readonly<Record<string, number>>) {}

  of(stream: string, atMs: number, state: { readonly messages: number; readonly last_seq: number }): number | undefined {
    const seen = this.#seen.get(stream) ?? [];
    this.#seen.set(stream, seen);
    seen.push({ atMs, last: state.last_seq });
    const oldMs = atMs - (this.keptMs[stream] as number);
    const old = seen.findLast((entry) => entry.atMs <= oldMs);
    if (old === undefined) return undefined;
    return Math.max(0, state.messages - (state.last_seq - old.last));
  }
}

export interface SoakReport {
  readonly rows: readonly Row[];
  readonly samples: number;
  readonly rounds: number;
  readonly accepted: number;
  readonly kills: number;
  readonly refused: readonly unknown[];
}

/** Runs everything for a time beside a worker that is measured, and tells what grew. */
export async function soak(form: SoakForm, tell: (line: string) => void): Promise<SoakReport> {
  const rig = await Rig.start({
    workflows: WORKFLOWS,
    nats: {
      runs: { keepExecuted: form.keepExecutedMs, unservedAfter: form.maxAgeMs },
      events: { maxAge: form.maxAgeMs },
      dead: { maxAge: form.maxAgeMs },
    },
  });
  try {
    const worker = await rig.worker();
    const client = await rig.producer();
    const load = new Load(rig, client, form);
    load.start();
    const samples = await measure(rig, worker, form, (sample) =>
      tell(`${((sample.atMs - startMs) / 1000).toFixed(0).padStart(5)} s  ${shown(sample)}`),
    );
    // On a busy machine the second worker takes its time to come up.
    await until('a worker was killed', () => load.kills > 0, 60_000);
    await load.stop();
    await rig.settled(60_000);
    const { rounds, accepted, kills, refused } = load;
    return { rows: judge(samples, form.limits), samples: samples.length, rounds, accepted, kills, refused };
  } finally {
    await rig.end();
  }
}

let startMs = 0;

const shown = ({ values }: Sample): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value.toLocaleString('en-US', { maximumFractionDigits: 1 })}`)
    .join(', ');

async function measure(rig: Rig, worker: WorkerProcess, form: SoakForm, tell: (sample: Sample) => void): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const trimsMs = 2 * Math.min(60_000, Math.max(1000, form.keepExecutedMs));
  const leftovers = new Leftovers({
    // Unserved commands wait for their time first.
    LOOPSTACK_RUNS: Math.max(form.keepExecutedMs + trimsMs, form.maxAgeMs) + SLACK_MS,
    LOOPSTACK_EVENTS: form.maxAgeMs + SLACK_MS,
    LOOPSTACK_DEAD: form.maxAgeMs + SLACK_MS,
    LOOPSTACK_SCHEDULES: trimsMs + SLACK_MS,
  });
  startMs = Date.now();
  // A busy machine measures more slowly: it gets more time, and the same number of samples.
  const isDone = (tookMs: number): boolean => tookMs >= form.forMs && (isEnough(samples, form.limits) || tookMs >= 3 * form.forMs);
  while (!isDone(Date.now() - startMs)) {
    await delay(form.everyMs);
    const atMs = Date.now();
    const usage = await worker.ask<Usage>('usage', 60_000);
    collect();
    const values: Record<string, number> = {
      'worker heap': usage.heap / MIB,
      'worker rss': usage.rss / MIB,
      'worker handles': usage.handles,
      'producer heap': process.memoryUsage().heapUsed / MIB,
      'producer handles': process.getActiveResourcesInfo().length,
    };
    let consumers = 0;
    for (const stream of ['RUNS', 'EVENTS', 'DEAD', 'SCHEDULES']) {
      const { state } = await rig.jsm.streams.info(`LOOPSTACK_${stream}`);
      consumers += state.consumer_count;
      const left = leftovers.of(`LOOPSTACK_${stream}`, atMs, state);
      const name = stream.toLowerCase();
      values[`${name} messages`] = state.messages;
      values[`${name} bytes`] = state.bytes / MIB;
      if (left !== undefined) values[`${name} left over`] = left;
    }
    values['consumers'] = consumers;
    const sample = { atMs, values };
    samples.push(sample);
    tell(sample);
  }
  return samples;
}
