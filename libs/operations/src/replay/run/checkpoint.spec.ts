import { newState, type ReplayReport } from '../replay-log.js';
import { withCheckpoint } from './checkpoint.js';

describe('a checkpoint', () => {
  const report = {
    id: 'r',
    ...newState('ada', ''),
    checkpointSequence: 10,
    position: 50,
    invalid: [{ sequence: 60, code: 'X', message: '' }],
  } as unknown as ReplayReport;
  const checkpoint = (position: number): string =>
    JSON.stringify({ token: 't', position, counts: { ...report.counts, published: 7 }, workedMs: 5 });

  it('wins over a record that differs', () => {
    expect(withCheckpoint(report, checkpoint(55), 11)).toMatchObject({
      position: 55,
      checkpointSequence: 11,
      counts: { published: 7 },
      workedMs: 5,
      invalid: [],
    });
    expect(withCheckpoint(report, checkpoint(40), 11)).toMatchObject({ position: 40 });
  });

  it('leaves a record that is ahead of it', () => {
    expect(withCheckpoint(report, checkpoint(40), 10)).toBe(report);
  });
});
