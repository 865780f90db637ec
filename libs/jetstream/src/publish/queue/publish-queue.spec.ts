import { LoopstackError } from '@loopstack/shared/contract';
import { Pending } from './pending.js';
import { PublishQueue } from './publish-queue.js';
import { StallDetector } from '../stall-detector.js';

describe('the queue of a publisher', () => {
  let rejected: [name: string, code: string][] = [];
  beforeEach(() => (rejected = []));

  function filled(...messages: readonly (readonly [name: string, timeoutMs: number, tick: number])[]): PublishQueue {
    const queue = new PublishQueue();
    for (const [name, timeoutMs, tick] of messages) {
      const pending = new Pending(name, new Uint8Array(1), undefined, timeoutMs, { acknowledged: (): undefined => undefined });
      pending.reject = (error): unknown => rejected.push([name, (error as LoopstackError).code]);
      queue.enqueue(pending, tick);
    }
    return queue;
  }

  it('rejects all in order', () => {
    const queue = filled(['a', 1000, 0], ['b', 1000, 0]);
    queue.rejectAll(() => new LoopstackError('CLOSED'));
    expect([rejected, queue.length]).toEqual([
      [
        ['a', 'CLOSED'],
        ['b', 'CLOSED'],
      ],
      0,
    ]);
  });

  it('lets time run from the loss of the connection on', () => {
    const queue = filled(['short', 1000, 0], ['long', 5000, 0]);
    queue.startDeadlines(100);
    queue.rejectLate(120);
    expect(rejected).toEqual([]);
    queue.rejectLate(121);
    expect([rejected, queue.length]).toEqual([[['short', 'PUBLISH_UNAVAILABLE']], 1]);
  });

  it('keeps all while the server settles others, and then ends only those whose timeout is over', () => {
    const queue = filled(['old', 1000, 0], ['new', 1000, 90]);
    const stall = new StallDetector();
    stall.acknowledged(1, 50);
    for (const tick of [51, 70]) queue.rejectStalled(stall, tick);
    expect(rejected).toEqual([]);
    queue.rejectStalled(stall, 100);
    expect([rejected, queue.peek()?.subject]).toEqual([[['old', 'PUBLISH_UNAVAILABLE']], 'new']);
  });
});
