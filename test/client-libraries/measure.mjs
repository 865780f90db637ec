// The same code over a connection of `nats` 2 and one of `@nats-io/transport-node` 3 (docs/adr/0020):
// `node test/client-libraries/measure.mjs [rounds]`, after `npm run build`. Each round starts a process for either client, in turns, on one server.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const PACKAGES = ['nats', '@nats-io/transport-node'];
const WARM_UP = 20_000;
const MEASURED = 60_000;
const IN_FLIGHT = 256;
const NAMES = { workspace: 'Orders', workflow: 'ProcessOrder' };

const { loadavg } = await import('node:os');
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Keeps `IN_FLIGHT` calls on their way until `count` of them are answered. */
async function inFlight(count, call) {
  let next = 0;
  const lane = async () => {
    while (next++ < count) await call();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** @returns calls a second, and microseconds of this process's processor time for each */
async function rated(count, work) {
  const cpu = process.cpuUsage();
  const from = performance.now();
  await work();
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: count / seconds, cpuMicros: (user + system) / count };
}

async function child(name, servers) {
  const { connect } = await import(name);
  const nc = await connect({ servers, noAsyncTraces: true });
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await nc.flush();
  }
  const { rss, heapUsed } = process.memoryUsage();

  const { LoopstackClient } = await import('@loopstack/client');
  const client = new LoopstackClient(nc, { groupCommit: false });
  const publish = () => client.run(NAMES.workflow, NAMES.workspace, { order: 4711, items: ['a', 'b', 'c'] }, 'user-1');
  await inFlight(WARM_UP, publish);
  const published = await rated(MEASURED, () => inFlight(MEASURED, publish));

  const body = Buffer.from('{"payload":{"order":4711},"userId":"user-1"}');
  const request = () => nc.request(`loopstack.run.${NAMES.workspace}.${NAMES.workflow}`, body, { timeout: 20_000 });
  await inFlight(WARM_UP, request);
  const requested = await rated(MEASURED, () => inFlight(MEASURED, request));

  const received = await rated(MEASURED, () => pull(nc, MEASURED));
  await client.close();
  await nc.close();
  process.send({ rss, heapUsed, published, requested, received });
}

/** Takes messages from the start of the stream, as a worker is given them. */
async function pull(nc, count) {
  const config = { name: 'measure', ack_policy: 'none', mem_storage: true, inactive_threshold: 60e9 };
  const stream_name = 'LOOPSTACK_RUNS';
  await nc.request(`$JS.API.CONSUMER.CREATE.${stream_name}.measure`, JSON.stringify({ stream_name, config }), { timeout: 5000 });
  await new Promise((resolve) => {
    let left = count;
    const subscription = nc.subscribe('measure.inbox', {
      callback: (_, { reply, headers }) => {
        if (reply === '' && headers?.code === 100) return;
        if (--left > 0) return;
        subscription.unsubscribe();
        resolve();
      },
    });
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream_name}.measure`, JSON.stringify({ batch: count, expires: 60e9 }), {
      reply: 'measure.inbox',
    });
  });
  await nc.request(`$JS.API.CONSUMER.DELETE.${stream_name}.measure`, undefined, { timeout: 5000 });
}

async function round(name, servers) {
  const process_ = spawn(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), 'child', name, servers], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [result] = await Promise.race([
    new Promise((resolve) => process_.once('message', (message) => resolve([message]))),
    new Promise((_, reject) => process_.once('exit', (code) => code === 0 || reject(new Error(`${name} ended with ${code}`)))),
  ]);
  return result;
}

async function main(rounds) {
  const { startNatsServer } = await import('@loopstack/nats-server');
  const { connect } = await import('nats');
  const server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const stream = { name: 'LOOPSTACK_RUNS', subjects: ['loopstack.run.>'], storage: 'memory', max_msgs: 500_000 };
  const results = new Map(PACKAGES.map((name) => [name, []]));
  try {
    await nc.request(`$JS.API.STREAM.CREATE.${stream.name}`, JSON.stringify(stream), { timeout: 5000 });
    for (let i = 0; i < rounds; i++) {
      for (const name of i % 2 === 0 ? PACKAGES : PACKAGES.toReversed()) {
        results.get(name).push(await round(name, server.url));
        await nc.request(`$JS.API.STREAM.PURGE.${stream.name}`, undefined, { timeout: 20_000 });
      }
    }
  } finally {
    await nc.close();
    await server.stop();
  }
  const { version } = createRequire(import.meta.url)('nats/package.json');
  console.log(
    `node ${process.versions.node}, nats ${version}, nats-server ${nc.info.version}, load ${loadavg()[0].toFixed(1)}, ${rounds} rounds`,
  );
  const row = (title, value, digits = 0) => {
    const [old, young] = PACKAGES.map((name) => results.get(name).map(value));
    const ratios = old.map((one, i) => young[i] / one);
    const shown = (values) =>
      `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    console.log(`| ${title} | ${shown(old)} | ${shown(young)} | ${median(ratios).toFixed(2)} (${spread}) |`);
  };
  console.log(`| | ${PACKAGES.join(' | ')} | ratio by round |\n| --- | --- | --- | --- |`);
  row('resident memory of a connection at rest, MiB', ({ rss }) => rss / 2 ** 20, 1);
  row('heap of the same, MiB', ({ heapUsed }) => heapUsed / 2 ** 20, 2);
  for (const [key, title] of [
    ['published', 'runs started'],
    ['requested', 'requests of the library'],
    ['received', 'messages pulled'],
  ]) {
    row(`${title} a second`, (result) => result[key].perSecond);
    row(`${title}, processor µs each`, (result) => result[key].cpuMicros, 1);
  }
}

const [mode, ...given] = process.argv.slice(2);
await (mode === 'child' ? child(...given) : main(Number(mode ?? 7)));
