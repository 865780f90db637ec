import { type NatsConnection } from 'nats';
import { Bucket } from '@loopstack/nats';
import { harness } from './rig/harness.js';

const rig = harness();
let nc: NatsConnection;

beforeAll(async () => {
  await rig.startServer();
  nc = await rig.connect();
});

describe('a bucket', () => {
  it('keeps the first of two documents that are created under one key, from two processes that make it at once', async () => {
    const buckets = [new Bucket(nc, 'RACE'), new Bucket(nc, 'RACE')];
    const created = await Promise.all(buckets.map((bucket, i) => bucket.create('one', { i })));
    expect(created.filter(Boolean)).toHaveLength(1);
    expect(await buckets[0]!.get('one')).toEqual({ i: created.indexOf(true) });
  });

  it('has nothing under a key that was never written, or was removed', async () => {
    const bucket = new Bucket(nc, 'EMPTY');
    expect(await bucket.get('none')).toBeUndefined();
    await bucket.remove('none');
    await bucket.create('a', 1);
    await bucket.remove('a');
    expect(await bucket.get('a')).toBeUndefined();
    expect(await bucket.create('a', 2)).toBe(true);
    expect(await bucket.get('a')).toBe(2);
    await bucket.put('a', 3);
    expect(await bucket.get('a')).toBe(3);
  });

  it('leaves no marker of what was removed', async () => {
    const bucket = new Bucket(nc, 'MARKERS');
    await bucket.create('a.b', 1);
    await bucket.remove('a.b');
    const { state } = await (await nc.jetstreamManager()).streams.info('KV_MARKERS');
    expect(state.messages).toBe(0);
  });

  it('lists what a filter matches, and nothing else', async () => {
    const bucket = new Bucket(nc, 'MANY');
    await Promise.all(Array.from({ length: 600 }, (_, i) => bucket.create(`order.u${i % 2}.${i}`, i)));
    await bucket.create('receipt.u0.1', 'receipt');
    const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
    expect(await bucket.list('order.>')).toHaveLength(600);
    expect(sum(await bucket.list<number>('order.u1.*'))).toBe(300 * 300);
    expect(await bucket.list('receipt.>')).toEqual(['receipt']);
    expect(await bucket.list('nothing.>')).toEqual([]);
  });

  it('is made at the next use when the first could not make it', async () => {
    const other = await rig.connect();
    const bucket = new Bucket(other, 'LATER');
    const jsm = await other.jetstreamManager();
    // A stream that captures the same subjects stands in the way.
    await jsm.streams.add({ name: 'IN_THE_WAY', subjects: ['$KV.LATER.x'] });
    await expect(bucket.create('a', 1)).rejects.toThrow(/overlap/);
    await jsm.streams.delete('IN_THE_WAY');
    expect(await bucket.create('a', 1)).toBe(true);
  });
});
