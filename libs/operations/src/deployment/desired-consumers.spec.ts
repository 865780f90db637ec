import { PRIORITIES, wireNames } from '@loopstack/shared/contract';
import type { ConsumerInfo } from '@loopstack/jetstream';
import { desiredConsumer, durableOf, hasLanes, leaseToKeep } from './desired-consumers.js';

describe('a durable', () => {
  const names = wireNames();
  const address = { workspace: 'Orders', workflow: 'Process' };

  it('takes all priorities, or is one lane', () => {
    const shared = desiredConsumer(names, { address, priorities: ['high', 'normal', 'low'], leaseMs: 30_000 });
    expect(shared).toMatchObject({ durable_name: 'Orders~Process', ack_wait: 30e9 });
    expect(shared['filter_subjects']).toHaveLength(3);
    const lane = desiredConsumer(names, { address, priorities: ['low'], leaseMs: 30_000 });
    expect(lane).toMatchObject({ durable_name: 'Orders~Process~low', filter_subject: 'loopstack.lane.low.Orders.Process' });
  });

  it('that has left subjects to lanes does not take them back: it is past their commands', () => {
    const all = { address, priorities: PRIORITIES, leaseMs: 30_000 };
    const narrow = { filter_subject: 'loopstack.run.Orders.Process' };
    expect(hasLanes(names, address, narrow)).toBe(true);
    expect(desiredConsumer(names, all, narrow)).toMatchObject(narrow);
    const wide = { filter_subjects: PRIORITIES.map((priority) => names.run(address, priority)) };
    expect(hasLanes(names, address, wide)).toBe(false);
    expect(desiredConsumer(names, { ...all, priorities: ['normal'] }, wide)).toMatchObject(narrow);
  });

  it('of a lane keeps the place where it began; the one that has the name of the workflow begins with the first command', () => {
    const began = { deliver_policy: 'by_start_sequence', opt_start_seq: 7 };
    expect(desiredConsumer(names, { address, priorities: ['high'], leaseMs: 1000 }, began)).toMatchObject(began);
    expect(desiredConsumer(names, { address, priorities: ['normal'], leaseMs: 1000 }, began)).toMatchObject({ deliver_policy: 'all' });
  });

  it.each([
    ['nobody uses it: what is wanted', 30_000, 0, 0, 1000, 1000],
    ['a worker waits for commands: it stays longer', 30_000, 1, 0, 1000, 30_000],
    ['a worker has commands: it stays longer', 30_000, 0, 1, 1000, 30_000],
    ['a longer one is wanted', 1000, 1, 1, 30_000, 30_000],
  ])('that exists has a lease that no worker may lose a run by: %s', (_, existingMs, pulls, unsettled, wantedMs, expected) => {
    const info = { config: { ack_wait: existingMs * 1e6 }, num_waiting: pulls, num_ack_pending: unsettled } as unknown as ConsumerInfo;
    expect(leaseToKeep(wantedMs, info)).toBe(expected);
  });

  it('has a name that no other pair of names has', () => {
    const durable = (workspace: string, workflow: string): string =>
      durableOf(names, { address: { workspace, workflow }, priorities: ['normal'], leaseMs: 1 });
    expect(durable('a-b', 'c')).not.toBe(durable('a', 'b-c'));
    expect(durable('a_b', 'c')).not.toBe(durable('a', 'b_c'));
  });

  it('is never given up, starved or forgotten by the server', () => {
    const config = desiredConsumer(names, { address, priorities: ['normal'], leaseMs: 1000 });
    expect(config).toMatchObject({
      max_deliver: -1,
      max_ack_pending: -1,
      backoff: [],
      inactive_threshold: 0,
      max_batch: 0,
      rate_limit_bps: 0,
    });
  });
});
