import { JetStreamApiError } from '@loopstack/jetstream';
import { LoopstackError } from '@loopstack/shared/contract';
import { DUPLICATE_IN_BATCH, TakenOverError } from './command-batches.js';
import { isTransient, retryDelayMs } from './retry.js';

const incomplete = new LoopstackError('PUBLISH_REFUSED', { subject: 's', reason: 'r', errCode: DUPLICATE_IN_BATCH });

it.each<[string, unknown, number]>([
  ['a full stream', new LoopstackError('STREAM_FULL', { stream: 'S' }), 299_000],
  ['a server without an answer', new JetStreamApiError(0, 'no answer'), 1000],
  ['an incomplete batch', incomplete, 19_000],
])('tries again after %s', (_, error, afterMs) => {
  expect(isTransient(error, afterMs)).toBe(true);
});

it.each<[string, unknown, number]>([
  ['a stream that is full for too long', new LoopstackError('STREAM_FULL', { stream: 'S' }), 301_000],
  ['a request that the server refuses', new JetStreamApiError(10_059, 'no such stream'), 1000],
  ['a batch that stays incomplete', incomplete, 20_000],
  ['a payload that is too large', new LoopstackError('PAYLOAD_TOO_LARGE', { bytes: 2, limit: 1 }), 0],
  ['a takeover by another process', new TakenOverError('x'), 0],
])('gives up after %s', (_, error, afterMs) => {
  expect(isTransient(error, afterMs)).toBe(false);
});

it('waits longer each time, up to five seconds', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map(retryDelayMs)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
});
