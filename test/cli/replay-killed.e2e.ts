import { Publisher } from '@loopstack/jetstream';
import type { ReplayReport } from '@loopstack/operations';
import { HEADER, encodeRunCommand, headerReader, decodeRunCommand, wireNames } from '@loopstack/shared/contract';
import { type JetStreamManager, type NatsConnection } from 'nats';
import { once } from 'node:events';
import { provisionStreams } from '../client/streams.js';
import { readStream } from '../rig/measure.js';
import { until } from '../until.js';
import { CliRig } from './rig.js';

const COUNT = 100_000;
const KILLS = 3;
const names = wireNames();

const rig = CliRig.use('all');
let nc: NatsConnection;
let jsm: JetStreamManager;
beforeAll(async () => {
  nc = await rig.connect();
  jsm = await nc.jetstreamManager();
  // A window so short that deduplication helps nobody who is killed and resumed.
  await provisionStreams(nc, { runs: { duplicate_window: 100_000_000 } });
});

async function publish(count: number): Promise<void> {
  const publisher = new Publisher(nc);
  const address = { workspace: 'Orders', workflow: 'ProcessOrder' };
  for (let from = 0; from < count; from += 10_000) {
    const work = Array.from({ length: Math.min(10_000, count - from) }, (_, i) => {
      const number = from + i + 1;
      return publisher.publish(names.run(address), encodeRunCommand({ payload: { number }, userId: 'u1' }), {
        [HEADER.RUN_ID]: `run-${number}`,
      });
    });
    await Promise.all(work);
  }
  await publisher.close();
}

it('a replay of 100,000 that is killed three times and resumed publishes each command exactly once', async () => {
  await publish(COUNT);
  let published = 0;
  for (let kills = 0; kills < KILLS; kills++) {
    const running = rig.start(kills === 0 ? ['replay', 'start', '--id', 'killed', '--yes'] : ['replay', 'resume', 'killed']);
    const { state } = await jsm.streams.info(names.streams.runs);
    // Somewhere in the middle of a batch, as it happens.
    await until('it publishes', async () => (await jsm.streams.info(names.streams.runs)).state.last_seq > state.last_seq + 8000, 60_000);
    running.signal('SIGKILL');
    await once(running.child, 'close');
    const report = await until('nobody is heard of it any more', async () => {
      const found = await rig.json<ReplayReport>(['replay', 'show', 'killed']);
      return found.status === 'interrupted' ? found : undefined;
    });
    expect(report.counts.published).toBeGreaterThanOrEqual(published);
    published = report.counts.published;
  }
  const report = await rig.json<ReplayReport>(['replay', 'resume', 'killed']);
  expect(report).toMatchObject({ status: 'completed', counts: { read: COUNT, matched: COUNT, published: COUNT, invalid: 0 } });

  const seen = new Uint8Array(COUNT + 1);
  let replayed = 0;
  for (const { data, header } of await readStream(nc, names.streams.runs, names.run({ workspace: '*', workflow: '*' }, 'low'))) {
    const { payload } = decodeRunCommand(data, headerReader({}));
    const { number } = payload as { number: number };
    expect(header(HEADER.REPLAY_OF)).toBe(`run-${number}`);
    seen[number] = (seen[number] as number) + 1;
    replayed++;
  }
  expect(replayed).toBe(COUNT);
  expect(seen.subarray(1).every((times) => times === 1)).toBe(true);
}, 240_000);
