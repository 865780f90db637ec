import { desiredStreams } from './desired-streams.js';
import { resolveStreamOptions } from './stream-options.js';

describe('the streams', () => {
  const streams = (version = '2.15.1') => new Map(desiredStreams(resolveStreamOptions({}), version).map((s) => [s.config.name, s]));

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
    const given = desiredStreams(resolveStreamOptions({ runs: { maxBytes: '1GiB' }, replicas: 3 }), '2.15.1');
    const runs = given.find(({ config }) => config.name === 'LOOPSTACK_RUNS');
    expect(runs?.required).toEqual(expect.arrayContaining(['max_bytes', 'num_replicas']));
  });

  it('asks an older server for nothing that it does not know', () => {
    expect(streams('2.11.4').has('LOOPSTACK_SCHEDULES')).toBe(false);
    expect(streams('2.12.0').has('LOOPSTACK_SCHEDULES')).toBe(true);
    expect(streams('2.12.0').get('LOOPSTACK_RUNS')?.config['allow_batched']).toBeUndefined();
  });
});
