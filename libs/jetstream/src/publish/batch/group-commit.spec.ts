import { LoopstackError } from '@loopstack/shared/contract';
import { Fifo } from '../queue/fifo.js';
import { GroupCommit, errorOfMember, groupSize, takeMembers } from './group-commit.js';
import { IDEMPOTENT, Pending, PendingBatch, WRITTEN_ONCE } from '../queue/pending.js';

const RECEIVER = { acknowledged: (_: string, sequence: number): number => sequence };

function message(bytes = 1, groupable = true): Pending {
  const pending = new Pending('a.b', new Uint8Array(bytes), undefined, 5000, RECEIVER);
  pending.handling = groupable ? IDEMPOTENT : WRITTEN_ONCE;
  return pending;
}

function queueOf(...messages: readonly Pending[]): Fifo<Pending> {
  const queue = new Fifo<Pending>();
  for (const pending of messages) queue.push(pending);
  return queue;
}

describe('the size of the next group', () => {
  it.each([
    ['takes what is free', { room: 256, messages: 56, groups: 0 }, 150, true, 200],
    ['is what a batch holds at most', { room: 4096, messages: 0, groups: 0 }, 4000, true, 1000],
    ['is none while two are on the way', { room: 256, messages: 20, groups: 2 }, 200, false, 0],
    ['is none for the last free places, while answers come', { room: 256, messages: 250, groups: 1 }, 200, true, 0],
    ['is small where few wait', { room: 256, messages: 250, groups: 1 }, 6, true, 6],
    ['is small where no answers come', { room: 256, messages: 250, groups: 1 }, 200, false, 6],
  ])('%s', (_, flight, queued, moves, expected) => {
    expect(groupSize(flight, queued, moves)).toBe(expected);
  });
});

describe('the members of a group', () => {
  it('are those at the head of the queue that may share a batch', () => {
    const queue = queueOf(message(), message(), message(1, false), message());
    expect(takeMembers(queue, 10)).toHaveLength(2);
    expect(queue.length).toBe(2);
  });

  it.each([
    ['the size that was asked for', 3, 1, 3],
    ['a mebibyte', 10, 400 * 1024, 3],
  ])('are bounded by %s', (_, size, bytes, expected) => {
    expect(takeMembers(queueOf(...Array.from({ length: 5 }, () => message(bytes))), size)).toHaveLength(expected);
  });

  it.each([
    ['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT'],
    ['CLOSED', 'CLOSED'],
    ['STORAGE_FAILED', 'STORAGE_FAILED'],
    ['PUBLISH_REFUSED', undefined],
    ['STREAM_FULL', undefined],
  ] as const)('that fails with %s tell their callers %s', (code, expected) => {
    expect((errorOfMember(message(), new LoopstackError(code)) as LoopstackError | undefined)?.code).toBe(expected);
  });
});

describe('group commit', () => {
  it('writes a message alone that no other goes with, in place of a group', () => {
    const group = new GroupCommit(true, () => {}).take(queueOf(message()), 10, () => {});
    expect([group.size, group.group, group instanceof PendingBatch]).toEqual([1, true, false]);
  });

  it('gives each member its own sequence', async () => {
    const members = [message(), message(), message()];
    const promises = members.map((member) => member.promise<number>());
    const group = new GroupCommit(true, () => {}).take(queueOf(...members), 10, () => {});
    group.receiver.acknowledged('S', 12, false);
    expect(await Promise.all(promises)).toEqual([10, 11, 12]);
  });

  it('writes the members of a refused group alone, and stops where the server takes no batches', () => {
    const commit = new GroupCommit(true, () => {});
    const alone: Pending[] = [];
    const members = [message(), message()];
    commit.take(queueOf(...members), 10, (member) => alone.push(member)).reject(new LoopstackError('PUBLISH_REFUSED', { errCode: 10201 }));
    expect([alone, commit.takes(message())]).toEqual([members, true]);
    commit.take(queueOf(...members), 10, () => {}).reject(new LoopstackError('PUBLISH_REFUSED', { errCode: 10174 }));
    expect(commit.takes(message())).toBe(false);
  });

  it('writes once in a turn of the event loop, however many messages come', async () => {
    let written = 0;
    const commit = new GroupCommit(true, () => written++);
    for (let i = 0; i < 5; i++) commit.writeAfterTurn();
    expect(written).toBe(0);
    await Promise.resolve();
    expect(written).toBe(1);
  });
});
