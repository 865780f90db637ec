import { median, ratio, type Row } from './statistics.js';

export interface Target {
  readonly name: string;
  readonly goal: string;
  /** Null where a row is missing: the short form has not all of them. */
  readonly value: number | null;
  /** What hand-written code on the bare client reaches. */
  readonly ceiling?: number | null;
  readonly met: boolean | null;
}

type Rows = (name: string) => readonly number[] | undefined;

interface Pair {
  readonly of: string;
  readonly to: string;
  /** The row of hand-written code on the bare client. */
  readonly ceiling?: string | undefined;
}

const pair = (name: string, of: string, to: string, ceiling?: string): Pair => ({
  of: `${name} / ${of}`,
  to: `${name} / ${to}`,
  ceiling: ceiling === undefined ? undefined : `${name} / ${ceiling}`,
});

function ratioOf(rows: Rows, of: string, to: string): number | null {
  const [a, b] = [rows(of), rows(to)];
  return a !== undefined && b !== undefined && a.length > 0 && b.length > 0 ? Number(ratio(a, b).toFixed(3)) : null;
}

/** The ratio of two rows, paired round by round, is at least, or at most, a number. */
function compared(name: string, goal: string, { of, to, ceiling }: Pair, holds: (value: number) => boolean): (rows: Rows) => Target {
  return (rows) => {
    const value = ratioOf(rows, of, to);
    const target = { name, goal, value, met: value === null ? null : holds(value) };
    return ceiling === undefined ? target : { ...target, ceiling: ratioOf(rows, ceiling, to) };
  };
}

const atLeast = (name: string, times: number, rows: Pair): ((rows: Rows) => Target) =>
  compared(name, `>= ${times}`, rows, (value) => value >= times);
const atMost = (name: string, times: number, rows: Pair): ((rows: Rows) => Target) =>
  compared(name, `<= ${times}`, rows, (value) => value <= times);

/** Of the rows of one case none is more than 15 % above another. */
function flat(name: string, prefix: string): (rows: Rows, all: readonly Row[]) => Target {
  return (_, all) => {
    const rows = all.filter((row) => row.name.startsWith(prefix) && row.values.length > 0).map((row) => row.values);
    const ratios = rows.flatMap((of) => rows.map((to) => ratio(of, to)));
    const value = rows.length < 2 ? null : Number(Math.max(...ratios).toFixed(3));
    return { name, goal: '<= 1.15', value, met: value === null ? null : value <= 1.15 };
  };
}

function memory(rows: Rows): Target {
  const prefix = 'memory of a worker process, by orders queued / ';
  const [idle, full] = [rows(`${prefix}0`), rows(`${prefix}200,000`)];
  const value = idle && full ? Math.round(median(full) - median(idle)) : null;
  return { name: 'memory with 200,000 queued, over an idle worker', goal: '<= 60 MB', value, met: value === null ? null : value <= 60 };
}

/** A second process needs a core of its own, beside those of the first, of the server and of what feeds them. */
function processes(cores: number): (rows: Rows) => Target {
  const compare = atLeast('two worker processes to one, where cores allow', 1.6, pair('worker processes, concurrency 256', '2', '1'));
  return (rows) => {
    const target = compare(rows);
    return cores >= 4 ? target : { ...target, goal: `${target.goal}; not judged on ${cores} cores`, met: null };
  };
}

export function targets(rows: readonly Row[], cores: number): Target[] {
  const find: Rows = (name) => rows.find((row) => row.name === name)?.values;
  const publish = 'publish 256 in flight, 256 B';
  const none = 'consume at concurrency 256, 256 B';
  const outcomes = 'consume at concurrency 256, outcomes recorded, 256 B';
  const p50 = 'latency at 1,000/s, p50';
  const durable = 'sync always: publish 256 in flight, 256 B';
  const slow = 'sync always: publish one by one, 256 B';
  const batch = rows.find((row) => row.name.startsWith('batch of'))?.name.split(' / ')[0] ?? 'batch of 100,000, 256 B';
  return [
    atLeast('publish, 256 in flight, to js.publish', 3, pair(publish, 'Loopstack', 'nats js.publish', 'nats by hand')),
    atLeast('publish, 256 in flight, to BullMQ add', 4, pair(publish, 'Loopstack', 'BullMQ add', 'nats by hand')),
    atLeast('batch, to BullMQ addBulk', 6, pair(batch, 'Loopstack runMany', 'BullMQ addBulk', 'nats by hand')),
    atLeast('consume, nothing recorded, to the bare loop', 0.65, pair(none, 'Loopstack', 'bare nats')),
    atLeast('consume, nothing recorded, to BullMQ', 6, pair(none, 'Loopstack', 'BullMQ', 'bare nats')),
    atLeast('consume, outcomes recorded, to the bare loop', 0.35, pair(outcomes, 'Loopstack', 'bare nats')),
    atLeast('consume, outcomes recorded, to BullMQ with results kept', 4, pair(outcomes, 'Loopstack', 'BullMQ', 'bare nats')),
    atMost('latency at 1,000/s, p50, to the bare loop', 1.3, pair(p50, 'Loopstack', 'bare nats')),
    atMost('latency at 1,000/s, p50, to BullMQ', 0.2, pair(p50, 'Loopstack', 'BullMQ', 'bare nats')),
    memory,
    flat('cost per run by backlog, largest to smallest', 'CPU per run by backlog behind it'),
    flat('cost per run by workflows, largest to smallest', 'CPU per run by registered workflows'),
    processes(cores),
    atLeast('sync always: 256 in flight, to js.publish 256 in flight', 8, pair(durable, 'Loopstack', 'nats js.publish')),
    atLeast('sync always: one by one, to js.publish one by one', 0.95, pair(slow, 'Loopstack', 'nats js.publish')),
  ].map((target) => target(find, rows));
}
