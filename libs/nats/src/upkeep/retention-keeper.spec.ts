import type { ConsumerInfo } from '@loopstack/jetstream';
import { floorOf, keepFrom } from './retention-keeper.js';

describe('the first sequence that retention keeps', () => {
  it.each<readonly [string, number, number | undefined, number]>([
    ['nothing is acknowledged: everything stays', 0, undefined, 1],
    ['all is acknowledged and old: everything up to the floor goes', 10, undefined, 11],
    ['some is younger than the time to keep: it stays', 10, 4, 4],
    ['what is not acknowledged stays, however old it is', 3, 8, 4],
    ['what is young begins right behind the floor', 3, 4, 4],
  ])('%s', (_, ackFloor, firstYoung, expected) => {
    expect(keepFrom(ackFloor, firstYoung)).toBe(expected);
  });
});

describe('the floor of a subject', () => {
  const durable = (floor: number, unsettled: number, filter: string[], lanesFrom?: number): ConsumerInfo =>
    ({
      config: { filter_subjects: filter, metadata: lanesFrom === undefined ? undefined : { 'loopstack.lanes-from': String(lanesFrom) } },
      ack_floor: { stream_seq: floor },
      num_ack_pending: unsettled,
    }) as unknown as ConsumerInfo;
  const all = ['high', 'normal', 'low'];

  it.each<readonly [string, ConsumerInfo | undefined, ConsumerInfo[], number | undefined]>([
    ['nothing takes it: there is none', undefined, [], undefined],
    ['one durable takes all', durable(5, 0, all), [], 5],
    ['it was left to a lane that does not exist: there is none', durable(5, 0, ['normal']), [], undefined],
    ['a lane takes it', durable(3, 1, ['normal']), [durable(9, 1, ['high'])], 9],
    ['another lane says nothing', durable(20, 0, ['normal']), [durable(9, 0, ['high']), durable(1, 1, ['low'])], 9],
    ['two take it: the lower one', durable(20, 0, all), [durable(9, 0, ['high'])], 9],
    ['what was delivered before the split is not settled', durable(3, 1, ['normal'], 5), [durable(9, 0, ['high'])], undefined],
    ['also while its lanes do not exist yet', durable(3, 1, ['normal'], 5), [], undefined],
    ['it is settled', durable(3, 0, ['normal'], 5), [durable(9, 0, ['high'])], 9],
    ['what is not settled came after the split', durable(4, 1, ['normal'], 5), [durable(9, 0, ['high'])], 9],
  ])('%s', (_, main, lanes, expected) => {
    expect(floorOf('high', main, lanes)).toBe(expected);
  });
});
