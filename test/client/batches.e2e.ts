import { LoopstackClient } from '@loopstack/client';
import { Publisher, headerBlock } from '@loopstack/jetstream';
import { HEADER, newRunId, type RunHandle, type RunItem } from '@loopstack/shared/contract';
import { headers } from 'nats';
import { until } from '../until.js';
import { ADDRESS, Rig, codeOf, errorOf, names } from './rig.js';

const item = (n: number, options?: RunItem['options']): RunItem => ({
  ...ADDRESS,
  payload: { n },
  userId: 'u1',
  ...(options ? { options } : {}),
});

describe('runMany', () => {
  const rig = Rig.use('all');
  let client: LoopstackClient;
  beforeAll(() => {
    client = rig.client();
  });

  it('writes a long list in bulk, each command once and with its own id', async () => {
    const before = await rig.count(names.streams.runs);
    const report = await client.runMany(Array.from({ length: 12_345 }, (_, i) => item(i)));
    expect(report).toEqual({ accepted: 12_345, duplicates: 0, failed: 0, failures: [] });
    expect(await rig.count(names.streams.runs)).toBe(before + 12_345);
    const numbers = new Set<number>();
    const ids = new Set<string>();
    const consumer = await rig.nc.jetstream().consumers.get(names.streams.runs);
    for await (const message of await consumer.fetch({ max_messages: before + 12_345, expires: 30_000 })) {
      if (message.seq <= before) continue;
      numbers.add(message.json<{ payload: { n: number } }>().payload.n);
      ids.add(message.headers?.get(HEADER.RUN_ID) as string);
    }
    expect([numbers.size, ids.size]).toEqual([12_345, 12_345]);
  });

  it('is done at once with a short list, and with a source that pauses', async () => {
    const began = performance.now();
    for (let i = 0; i < 10; i++) expect((await client.runMany([item(1), item(2)])).accepted).toBe(2);
    expect(performance.now() - began).toBeLessThan(3000);
    const seen: number[] = [];
    async function* source(): AsyncGenerator<RunItem> {
      for (let i = 0; i < 3; i++) {
        yield item(i);
        await until('the item was checked', () => seen.length > i);
      }
    }
    const pausing = client.runMany(source(), { check: () => void seen.push(1) });
    expect((await pausing).accepted).toBe(3);
  });

  it('reports progress and handles, for each item of a list', async () => {
    const seen: number[] = [];
    const sequences = new Set<number>();
    const before = await rig.count(names.streams.runs);
    const report = await client.runMany(
      Array.from({ length: 5500 }, (_, i) => item(i)),
      { onProgress: ({ accepted }) => seen.push(accepted), onAccepted: (run) => sequences.add(run.sequence) },
    );
    expect(report).toEqual({ accepted: 5500, duplicates: 0, failed: 0, failures: [] });
    expect(seen).toEqual([1000, 2000, 3000, 4000, 5000, 5500]);
    expect(sequences.size).toBe(5500);
    expect(await rig.count(names.streams.runs)).toBe(before + 5500);
  });

  it('reports progress in bulk, too', async () => {
    const seen: number[] = [];
    await client.runMany(
      Array.from({ length: 5500 }, (_, i) => item(i)),
      { onProgress: ({ accepted }) => seen.push(accepted) },
    );
    expect(seen.at(-1)).toBe(5500);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.length).toBeGreaterThanOrEqual(5);
  });

  it('passes on what a callback throws, once the items that were taken are done', async () => {
    const thrower = (): never => {
      throw new Error('not my day');
    };
    await expect(client.runMany([item(1), item(2)], { onAccepted: thrower })).rejects.toThrow('not my day');
    await expect(client.runMany([item(1), item(2)], { onProgress: thrower })).rejects.toThrow('not my day');
  });

  it('takes from a stream only what it has room for', async () => {
    let taken = 0;
    let accepted = 0;
    let ahead = 0;
    async function* source(): AsyncGenerator<RunItem> {
      while (taken < 500) {
        taken++;
        ahead = Math.max(ahead, taken - accepted);
        yield item(taken);
      }
    }
    const report = await client.runMany(source(), { concurrency: 10, onAccepted: () => void accepted++ });
    expect(report.accepted).toBe(500);
    expect(ahead).toBeLessThanOrEqual(12);
  });

  it('reports each item that failed, by its place, and starts the others', async () => {
    const items = [
      item(0),
      { ...item(1), workflow: 'no.name' },
      item(2, { idempotencyKey: 'same' }),
      item(2, { idempotencyKey: 'same' }),
      { ...item(4), userId: '' },
    ];
    const report = await client.runMany(items, { concurrency: 1 });
    expect(report).toMatchObject({ accepted: 3, duplicates: 1, failed: 2 });
    expect(report.failures.map(({ index, error }) => [index, error.code])).toEqual([
      [1, 'NAME_INVALID'],
      [4, 'USER_MISSING'],
    ]);
  });

  it('reports what is no item, by its place', async () => {
    const throwing = {
      ...item(3),
      get workflow(): string {
        throw new Error('not to be read');
      },
    };
    const items = [null, item(1), undefined, throwing, 7, { ...item(5), options: null }] as unknown as RunItem[];
    const handles: RunHandle[] = [];
    for (const onAccepted of [undefined, (run: RunHandle) => void handles.push(run)]) {
      const report = await client.runMany(items, onAccepted ? { onAccepted } : {});
      expect(report).toMatchObject({ accepted: 1, failed: 5 });
      expect(report.failures.map(({ index, error }) => [index, error.code])).toEqual(
        [0, 2, 3, 4, 5].map((index) => [index, 'OPTION_INVALID']),
      );
      expect(report.failures[0]?.error.message).toMatch(/items\[0\].*received null/);
    }
    expect(await codeOf(client.run('ProcessOrder', 'Orders', {}, 'u1', null as never))).toBe('OPTION_INVALID');
  });

  it('passes on what the source throws once the items that were taken are done', async () => {
    const before = await rig.count(names.streams.runs);
    async function* source(): AsyncGenerator<RunItem> {
      yield item(1);
      yield item(2);
      throw new Error('the file ends here');
    }
    await expect(client.runMany(source())).rejects.toThrow('the file ends here');
    expect(await rig.count(names.streams.runs)).toBe(before + 2);
  });

  it('stops taking when it is told to', async () => {
    const controller = new AbortController();
    const report = await client.runMany(
      (function* () {
        for (let i = 0; ; i++) {
          if (i === 25) controller.abort();
          yield item(i);
        }
      })(),
      { signal: controller.signal },
    );
    expect(report.accepted).toBe(25);
  });
});

describe('runMany with a source that stalls', () => {
  it('ends with its signal, and tells the source without waiting for it', async () => {
    const rig = await Rig.start();
    const controller = new AbortController();
    let told = false;
    const source: AsyncIterable<RunItem> = {
      [Symbol.asyncIterator]: () => {
        let taken = 0;
        return {
          next: () => (taken++ < 3 ? Promise.resolve({ value: item(taken), done: false }) : new Promise<never>(() => {})),
          return: () => {
            told = true;
            return new Promise<never>(() => {});
          },
        };
      },
    };
    const many = rig.client().runMany(source, { signal: controller.signal });
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) === 3);
    controller.abort();
    expect(await many).toMatchObject({ accepted: 3, failed: 0 });
    expect(told).toBe(true);
    await rig.end();
  });
});

describe('runMany in bulk', () => {
  const rig = Rig.use('each');
  let client: LoopstackClient;
  beforeEach(() => {
    client = rig.client();
  });

  const many = (length: number): RunItem[] => Array.from({ length }, (_, i) => item(i));

  it('tells each item that did not fit into the stream', async () => {
    await updateRuns(rig, { max_msgs: 3210 });
    const report = await client.runMany(many(5000));
    expect(report).toMatchObject({ accepted: 3210, failed: 1790 });
    expect(new Set(report.failures.map(({ error }) => error.code))).toEqual(new Set(['STREAM_FULL']));
    expect(report.failures.length).toBe(1000);
    expect(await rig.count(names.streams.runs)).toBe(3210);
  });

  it('goes on one by one where the stream takes no bulk', async () => {
    await updateRuns(rig, { allow_batched: false });
    expect(await client.runMany(many(2000))).toMatchObject({ accepted: 2000, failed: 0 });
    expect(await rig.count(names.streams.runs)).toBe(2000);
  });

  it('mixes with items that go alone, and with those that are refused', async () => {
    const items = many(3000).map((one, i) =>
      i % 500 === 7 ? item(7, { idempotencyKey: 'same' }) : i % 500 === 9 ? { ...one, userId: '' } : one,
    );
    const report = await client.runMany(items, { keepIds: true });
    expect(report).toMatchObject({ accepted: 2994, failed: 6 });
    const ids = (await client.list({ limit: 5000 })).map(({ id }) => id);
    expect(ids).toHaveLength(2989);
    expect(new Set(report.runIds)).toEqual(new Set([...ids, undefined]));
    expect(report.runIds?.[7]).toBe(report.runIds?.[507]);
    expect(report.runIds?.[9]).toBeUndefined();
    expect(report.failures.map(({ index }) => index)).toEqual([9, 509, 1009, 1509, 2009, 2509]);
    expect(await rig.count(names.streams.runs)).toBe(2989);
  });

  it('stores each command once when the server dies and comes back', async () => {
    const nc = await rig.connect();
    const own = new LoopstackClient(nc, { publishTimeout: '30s' });
    let taken = 0;
    let stop = false;
    const report = own.runMany(
      (async function* () {
        while (!stop) yield item(taken++);
      })(),
    );
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) > 3000);
    await rig.crash();
    const before = taken;
    await until('items are taken again', () => taken > before + 10_000, 40_000);
    stop = true;
    expect(await report).toEqual({ accepted: taken, duplicates: 0, failed: 0, failures: [] });
    expect(await rig.count(names.streams.runs)).toBe(taken);
    await own.close();
  });

  it('leaves bulk for atomic batches where each message costs a disk write', async () => {
    const slow = await Rig.start({ config: 'jetstream { sync_interval: always }' });
    try {
      let taken = 0;
      let stop = false;
      const report = slow.client().runMany(
        (async function* () {
          while (!stop) yield item(taken++);
        })(),
      );
      const jsm = await slow.nc.jetstreamManager();
      const isBatched = async (seq: number): Promise<boolean> =>
        (await jsm.streams.getMessage(names.streams.runs, { seq })).header.has(HEADER.BATCH_ID);
      // Not at once, nor all: a process that is busy itself, as this one may be, judges later, and judges anew with single messages.
      await until(
        'bulk goes by atomic batches',
        async () => {
          const stored = await slow.count(names.streams.runs);
          if (stored < 8000) return false;
          const newest = await Promise.all(Array.from({ length: 30 }, (_, i) => isBatched(stored - i * 100)));
          return newest.filter(Boolean).length > 10;
        },
        60_000,
      );
      stop = true;
      expect(await report).toMatchObject({ accepted: taken, failed: 0 });
    } finally {
      await slow.end();
    }
  });
});

describe('fanOut', () => {
  const rig = Rig.use('each');
  let client: LoopstackClient;
  beforeEach(() => {
    client = rig.client();
  });

  it('starts all of its runs, on different subjects, with the sequences that they have', async () => {
    const runs = await client.fanOut([
      item(1),
      { ...item(2), workflow: 'Other' },
      { ...item(3), workspace: 'Bank' },
      item(4, { priority: 'high' }),
    ]);
    expect(runs.map((run) => run.sequence)).toEqual([1, 2, 3, 4]);
    for (const run of runs) expect(await run.status()).toMatchObject({ status: 'queued', sequence: run.sequence, workflow: run.workflow });
    expect((await client.fanOut(Array.from({ length: 1000 }, (_, i) => item(i)))).at(-1)).toMatchObject({
      sequence: 1004,
      duplicate: false,
    });
    expect((await client.fanOut([item(1)]))[0]).toMatchObject({ sequence: 1005 });
  });

  it('starts none if one is invalid, or too many, or has an option that a batch cannot keep', async () => {
    expect(await codeOf(client.fanOut([item(1), { ...item(2), userId: '' }]))).toBe('USER_MISSING');
    expect(await codeOf(client.fanOut([]))).toBe('BATCH_TOO_LARGE');
    expect(await codeOf(client.fanOut(Array.from({ length: 1001 }, (_, i) => item(i))))).toBe('BATCH_TOO_LARGE');
    expect(await codeOf(client.fanOut([item(1), item(2, { idempotencyKey: 'k' })]))).toBe('OPTION_INVALID');
    expect(await codeOf(client.fanOut([item(1), item(2, { delay: '1s' })]))).toBe('OPTION_INVALID');
    expect(await rig.count(names.streams.runs)).toBe(0);
  });

  it('starts none of what is no item, and reads no further than it must', async () => {
    expect(await errorOf(client.fanOut([item(1), null as never]))).toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('items[1]') as string,
    });
    let taken = 0;
    const endless = (function* () {
      for (;;) yield item(taken++);
    })();
    expect(await codeOf(client.fanOut(endless))).toBe('BATCH_TOO_LARGE');
    expect(taken).toBe(1001);
  });

  it('can be called a thousand times at once: each batch is written once', async () => {
    const written: string[] = [];
    const spy = rig.nc.subscribe(names.run(ADDRESS), {
      callback: (_, msg) => void (msg.headers?.get('Nats-Batch-Commit') && written.push(msg.subject)),
    });
    const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.fanOut([item(i), item(i)])));
    expect(new Set(all.flat().map((run) => run.sequence)).size).toBe(2000);
    expect(await rig.count(names.streams.runs)).toBe(2000);
    expect(written.length).toBe(1000);
    spy.unsubscribe();
  });

  /** Opens as many batches as a stream may have, and leaves them open; from the second on each gets another message. */
  const crowd = (sequence: number): void => {
    for (let i = 0; i < 50; i++) {
      const open = headers();
      open.set(HEADER.BATCH_ID, `open-${i}`);
      open.set(HEADER.BATCH_SEQUENCE, `${sequence}`);
      rig.nc.publish(names.run(ADDRESS), '{"userId":"u1"}', { headers: open });
    }
  };

  it('finds a place when the batches that others left open are dropped', async () => {
    crowd(1);
    await rig.nc.flush();
    const began = performance.now();
    // What needs no place goes on meanwhile.
    expect((await client.runMany([item(1), item(2)])).accepted).toBe(2);
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => client.fanOut([item(i), item(i), item(i)])));
    // The server drops them after ten seconds.
    expect(performance.now() - began).toBeGreaterThan(5000);
    expect(new Set(all.flat().map((run) => run.sequence)).size).toBe(60);
    expect(await rig.count(names.streams.runs)).toBe(62);
  });

  it('tells why it has no place, where batches are left open all the time, and has stored nothing', async () => {
    let sequence = 1;
    crowd(sequence);
    const crowding = setInterval(() => crowd(++sequence), 1000);
    try {
      const error = await errorOf(client.fanOut([item(1), item(2)]));
      expect(error).toMatchObject({ code: 'BATCH_UNAVAILABLE', retryable: true, statusCode: 503 });
      expect(error.message).toMatch(
        /^The server did not accept the batch of 2 runs for 1[2-9]\d{3} ms \(atomic publish .*as many open batches/,
      );
    } finally {
      clearInterval(crowding);
    }
    expect(await rig.count(names.streams.runs)).toBe(0);
  });

  it('tells the ids of its runs where it cannot tell whether they are stored', async () => {
    const impatient = rig.client({ publishTimeout: '300ms' });
    await impatient.fanOut([item(0), item(0)]);
    rig.server.signal('SIGSTOP');
    const error = await errorOf(impatient.fanOut([item(1), item(2)])).finally(() => rig.server.signal('SIGCONT'));
    expect(error).toMatchObject({ code: 'PUBLISH_TIMEOUT', fix: expect.stringContaining('details.runIds') as string });
    const runIds = error.details['runIds'] as string[];
    expect(runIds.length).toBe(2);
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) === 4);
    expect(await client.get(runIds[0] as string)).toMatchObject({ status: 'queued' });
  });

  it('starts none where the stream has no room for all', async () => {
    await updateRuns(rig, { max_msgs: 5 });
    const error = await errorOf(client.fanOut(Array.from({ length: 6 }, (_, i) => item(i))));
    expect(['STREAM_FULL', 'BATCH_REJECTED']).toContain(error.code);
    expect(await rig.count(names.streams.runs)).toBe(0);
    await client.fanOut(Array.from({ length: 5 }, (_, i) => item(i)));
  });

  it('says that nothing was stored where the stream takes no batches', async () => {
    await updateRuns(rig, { allow_atomic: false });
    expect(await errorOf(client.fanOut([item(1), item(2)]))).toMatchObject({ code: 'BATCH_REJECTED', details: { size: 2 } });
    expect(await rig.count(names.streams.runs)).toBe(0);
  });

  it('is stored once or not at all when the server dies in the middle', async () => {
    const started: Promise<unknown>[] = [];
    const sizes: number[] = [];
    const sizeOf = (batch: number): number => 2 + (batch % 50);
    let stop = false;
    const loop = (async () => {
      while (!stop) {
        const attempt = client.fanOut(Array.from({ length: sizeOf(started.length) }, (_, i) => item(i)));
        started.push(attempt.then((runs) => sizes.push(runs.length)));
        await attempt.catch(() => undefined);
      }
    })();
    await until('runs are stored', async () => (await rig.count(names.streams.runs)) > 200);
    await rig.crash();
    const before = sizes.length;
    await until('batches go on', () => sizes.length > before + 10);
    stop = true;
    await loop;
    const failed = (await Promise.allSettled(started)).filter((outcome) => outcome.status === 'rejected').length;
    const acknowledged = sizes.reduce((sum, size) => sum + size, 0);
    const asked = started.reduce((sum, _, i) => sum + sizeOf(i), 0);
    const stored = await rig.count(names.streams.runs);
    if (failed === 0) expect(stored).toBe(acknowledged);
    else expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect(stored).toBeLessThanOrEqual(asked);
  });
});

describe('group commit', () => {
  const rig = Rig.use('each', { config: 'jetstream { sync_interval: always }' });

  it('gives each run its own sequence', async () => {
    const client = rig.client({ groupCommit: true });
    const runs = await Promise.all(Array.from({ length: 3000 }, (_, i) => client.run('ProcessOrder', 'Orders', { i }, 'u1')));
    expect(runs.map((run) => run.sequence)).toEqual(runs.map((_, i) => i + 1));
    const jsm = await rig.nc.jetstreamManager();
    for (const i of [0, 1, 500, 1234, 2999]) {
      const stored = await jsm.streams.getMessage(names.streams.runs, { seq: i + 1 });
      expect(stored.header.get(HEADER.RUN_ID)).toBe(runs[i]?.id);
      expect(stored.json()).toEqual({ payload: { i }, userId: 'u1' });
    }
  });

  it('turns itself on under load where each message costs a disk write, and batches are what the server sees', async () => {
    const client = rig.client();
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let i = 0; i < 40; i++) await client.run('ProcessOrder', 'Orders', {}, 'u1');
      }),
    );
    const jsm = await rig.nc.jetstreamManager();
    const { state } = await jsm.streams.info(names.streams.runs);
    expect(state.messages).toBe(2560);
    const isBatched = async (seq: number): Promise<boolean> =>
      (await jsm.streams.getMessage(names.streams.runs, { seq })).header.has(HEADER.BATCH_ID);
    expect(await isBatched(1)).toBe(false);
    // Now and then it tries again without.
    const later = await Promise.all(Array.from({ length: 40 }, (_, i) => isBatched(900 + i * 40)));
    expect(later.filter(Boolean).length).toBeGreaterThan(20);
  });

  it('falls back to single messages for what a batch is rejected for, and gives each its own answer', async () => {
    const publisher = new Publisher(rig.nc, { groupCommit: true });
    const message = (id: string): { block: Uint8Array; data: Uint8Array } => ({
      block: headerBlock(`${HEADER.MSG_ID}: ${id}\r\n`),
      data: new TextEncoder().encode(id),
    });
    const receiver = { acknowledged: (_: string, sequence: number, duplicate: boolean) => ({ sequence, duplicate }) };
    const publish = (id: string): Promise<{ sequence: number; duplicate: boolean }> => {
      const { block, data } = message(id);
      return publisher.send(names.run(ADDRESS), data, block, 5000, receiver);
    };
    const first = await publish('m5');
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => publish(`m${i}`)));
    expect(answers[5]).toEqual({ sequence: first.sequence, duplicate: true });
    expect(answers.filter((answer) => answer.duplicate).length).toBe(1);
    expect(new Set(answers.map((answer) => answer.sequence)).size).toBe(40);
    expect(await rig.count(names.streams.runs)).toBe(40);
    await publisher.close();
  });

  it('refuses only the message whose expectation fails', async () => {
    const publisher = new Publisher(rig.nc, { groupCommit: true });
    const subjects = Array.from({ length: 30 }, () => names.event(ADDRESS, newRunId()));
    await publisher.publish(subjects[7] as string, new Uint8Array(2));
    const outcomes = await Promise.allSettled(
      subjects.map((subject) =>
        publisher.publish(subject, new Uint8Array(2), { [HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE]: '0' }, { groupable: true }),
      ),
    );
    expect(
      outcomes.flatMap((outcome, i) =>
        outcome.status === 'rejected' ? [[i, (outcome.reason as { details: { errCode: number } }).details.errCode]] : [],
      ),
    ).toEqual([[7, 10071]]);
    expect(await rig.count(names.streams.events)).toBe(30);
    await publisher.close();
  });

  it('goes on without batches where the stream takes none', async () => {
    await updateRuns(rig, { allow_atomic: false });
    const client = rig.client({ groupCommit: true });
    const runs = await Promise.all(Array.from({ length: 100 }, (_, i) => client.run('ProcessOrder', 'Orders', { i }, 'u1')));
    expect(new Set(runs.map((run) => run.sequence)).size).toBe(100);
  });

  it('tells each caller that the stream is full', async () => {
    await updateRuns(rig, { max_msgs: 10 });
    const client = rig.client({ groupCommit: true });
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => client.run('ProcessOrder', 'Orders', { i }, 'u1')));
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as { code: string }).code : 'stored'));
    expect(codes.filter((code) => code === 'stored').length).toBe(10);
    expect(codes.filter((code) => code === 'STREAM_FULL').length).toBe(90);
    expect(await rig.count(names.streams.runs)).toBe(10);
  });

  it('loses nothing and stores nothing twice when the server dies and comes back', async () => {
    const nc = await rig.connect();
    const client = new LoopstackClient(nc, { groupCommit: true, publishTimeout: '30s' });
    const ids: string[] = [];
    let stop = false;
    const lanes = Array.from({ length: 200 }, async () => {
      while (!stop) ids.push((await client.run('ProcessOrder', 'Orders', {}, 'u1')).id);
    });
    await until('2,000 are published', () => ids.length > 2000, 30_000);
    await rig.crash();
    const before = ids.length;
    await until('publishing goes on', () => ids.length > before + 2000, 30_000);
    stop = true;
    await Promise.all(lanes);
    expect(await rig.count(names.streams.runs)).toBe(ids.length);
    expect(new Set(ids).size).toBe(ids.length);
    await client.close();
  });
});

async function updateRuns(rig: Rig, fields: Record<string, unknown>): Promise<void> {
  const { config } = await rig.api<{ config: object }>(`STREAM.INFO.${names.streams.runs}`);
  await rig.api(`STREAM.UPDATE.${names.streams.runs}`, { ...config, ...fields });
}
