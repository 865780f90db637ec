import { PRIORITIES, wireNames } from '@loopstack/shared/contract';
import type { ConsumerInfo } from '@loopstack/jetstream';
import { resolveStreamOptions } from './stream-options.js';
import { desiredConsumer, desiredStreams, drift, durableOf, hasLanes, leaseToKeep, satisfies, ServerVersion } from './desired-topology.js';

describe('whether what the server has is what is wanted', () => {
  it.each([
    ['equal values', 'limits', 'limits', true],
    ['other values', 'workqueue', 'limits', false],
    ['zero, which the server leaves out', undefined, 0, true],
    ['false, which the server leaves out', undefined, false, true],
    ['a number that is absent', undefined, 5, false],
    ['a list in another order', ['b', 'a'], ['a', 'b'], true],
    ['a list with more', ['a', 'b', 'c'], ['a', 'b'], false],
    ['an empty list that the server leaves out', undefined, [], true],
    ['a list that should be empty', [1], [], false],
    ['an object with more fields', [{ name: 'A', filter: '' }], [{ name: 'A' }], true],
    ['an object with another field', [{ name: 'B' }], [{ name: 'A' }], false],
    ['no limit', -1, -1, true],
  ])('%s', (_, actual, desired, expected) => {
    expect(satisfies(actual, desired)).toBe(expected);
  });

  it('names what cannot be changed first: that is what an update is refused for', () => {
    const actual = { subjects: ['a'], storage: 'memory', retention: 'limits', discard: 'old' };
    const desired = { subjects: ['b'], storage: 'file', retention: 'limits', discard: 'new' };
    expect(drift(actual, desired, ['subjects', 'retention', 'discard', 'storage'])).toEqual(['storage', 'subjects', 'discard']);
  });
});

describe('the streams', () => {
  const streams = (version = '2.15.1') =>
    new Map(desiredStreams(resolveStreamOptions({}), new ServerVersion(version)).map((s) => [s.config.name, s]));

  it('of runs never drops what is queued: no age, no limit for a subject, a full one refuses', () => {
    const runs = streams().get('LOOPSTACK_RUNS');
    expect(runs?.config).toMatchObject({
      discard: 'new',
      max_age: 0,
      max_msgs_per_subject: -1,
      allow_msg_ttl: false,
      allow_rollup_hdrs: false,
    });
    expect(runs?.required).toEqual(
      expect.arrayContaining(['discard', 'max_age', 'max_msgs_per_subject', 'allow_msg_ttl', 'storage', 'retention']),
    );
  });

  it('leaves limits alone that are not given', () => {
    expect(streams().get('LOOPSTACK_RUNS')?.required).not.toContain('max_bytes');
    const given = desiredStreams(resolveStreamOptions({ runs: { maxBytes: '1GiB' }, replicas: 3 }), new ServerVersion('2.15.1'));
    const runs = given.find(({ config }) => config.name === 'LOOPSTACK_RUNS');
    expect(runs?.required).toEqual(expect.arrayContaining(['max_bytes', 'num_replicas']));
  });

  it('asks an older server for nothing that it does not know', () => {
    expect(streams('2.11.4').has('LOOPSTACK_SCHEDULES')).toBe(false);
    expect(streams('2.12.0').has('LOOPSTACK_SCHEDULES')).toBe(true);
    expect(streams('2.12.0').get('LOOPSTACK_RUNS')?.config['allow_batched']).toBeUndefined();
  });
});

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

describe('a version', () => {
  it.each([
    ['2.12.0', true],
    ['2.12.0-RC.1', true],
    ['2.9.10', false],
    ['3.0.0', true],
    ['1.20.0', false],
  ])('%s is at least 2.12: %s', (text, expected) => {
    expect(new ServerVersion(text).atLeast(2, 12)).toBe(expected);
  });
});
