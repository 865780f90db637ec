import { eventConsumerConfig, positionOf, startConfig, withSubject } from './event-sources.js';

describe('startConfig', () => {
  it.each([
    ['now', { deliver_policy: 'new' }],
    ['all', { deliver_policy: 'all' }],
    [42, { deliver_policy: 'by_start_sequence', opt_start_seq: 42 }],
    [new Date(0), { deliver_policy: 'by_start_time', opt_start_time: '1970-01-01T00:00:00.000Z' }],
  ] as const)('%j', (from, config) => {
    expect(startConfig(from)).toEqual(config);
  });
});

describe('eventConsumerConfig', () => {
  const desired = { stream: 'S', durable: 'd', kind: 'on', subject: 'a.*', from: 'now', leaseMs: 30_000, labels: { x: 'y' } } as const;

  it('never lets the server give an event up, and says in clear what it is for', () => {
    expect(eventConsumerConfig(desired)).toMatchObject({
      max_deliver: -1,
      ack_wait: 30_000_000_000,
      filter_subject: 'a.*',
      metadata: { x: 'y', 'loopstack.kind': 'on', 'loopstack.subject': 'a.*', 'loopstack.from': 'now' },
    });
  });

  it('begins where the one that was lost had been, and remembers where that one began', () => {
    expect(eventConsumerConfig(desired, 7)).toMatchObject({ opt_start_seq: 7, metadata: { 'loopstack.from': 'now' } });
  });
});

describe('withSubject', () => {
  it.each([
    [[], 'a.b', ['a.b']],
    [['a.b'], 'a.c', ['a.b', 'a.c']],
    [['a.*'], 'a.c', ['a.*']],
    [['a.b', 'x', 'a.c'], 'a.*', ['x', 'a.*']],
    [['a.*'], 'a.>', ['a.>']],
  ])('%j with %s', (subjects, subject, captures) => {
    expect(withSubject(subjects, subject)).toEqual(captures);
  });

  it('is the same list where nothing is to be added, so that no update is made', () => {
    const subjects = ['a.>'];
    expect(withSubject(subjects, 'a.b')).toBe(subjects);
  });
});

describe('positionOf', () => {
  const CREATED = '2026-11-24T08:00:00.123Z';
  it.each([
    ['after what is acknowledged', 41, 'now', 42],
    ['after what is acknowledged', 41, 'all', 42],
    ['when it was made, if it began then', 0, 'now', new Date(CREATED)],
    ['where it began', 0, 'all', 'all'],
    ['where it began', 0, 7, 7],
  ] as const)('is %s: %i, %s', (_, acked, from, position) => {
    expect(positionOf({ ack_floor: { consumer_seq: 0, stream_seq: acked }, created: CREATED } as never, from)).toEqual(position);
  });
});
