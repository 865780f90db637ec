import { LoopstackError, headerLines } from '@loopstack/shared/contract';
import { inBatch, takesNoBatches } from './batch.js';
import { headerBlock } from '../header-block.js';

const text = (block: Uint8Array): string => Buffer.from(block).toString('utf8');

describe('the headers of a message in a batch', () => {
  it('are its own and those of the batch', () => {
    const block = headerBlock(headerLines({ 'X-A': 'ä' }));
    expect(text(inBatch(block, 'b1', 2, false))).toBe('NATS/1.0\r\nX-A: ä\r\nNats-Batch-Id: b1\r\nNats-Batch-Sequence: 2\r\n\r\n');
    expect(text(inBatch(block, 'b1', 3, true))).toBe(
      'NATS/1.0\r\nX-A: ä\r\nNats-Batch-Id: b1\r\nNats-Batch-Sequence: 3\r\nNats-Batch-Commit: 1\r\n\r\n',
    );
    expect(text(inBatch(undefined, 'b1', 1, false))).toBe('NATS/1.0\r\nNats-Batch-Id: b1\r\nNats-Batch-Sequence: 1\r\n\r\n');
  });

  it('leave the original block alone: it is written again when the batch is rejected', () => {
    const block = headerBlock(headerLines({ 'X-A': 'b' }));
    const before = text(block);
    inBatch(block, 'b1', 1, true);
    expect(text(block)).toBe(before);
  });

  it('are told apart: a server without batches, and a batch that was rejected', () => {
    expect(takesNoBatches(new LoopstackError('PUBLISH_REFUSED', { errCode: 10174 }))).toBe(true);
    expect(takesNoBatches(new LoopstackError('PUBLISH_REFUSED', { errCode: 10201 }))).toBe(false);
    expect(takesNoBatches(new Error('x'))).toBe(false);
  });
});
