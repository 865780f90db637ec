import { Schedule, declaredSchedules } from './schedule.js';

const of = (type: unknown): ReturnType<typeof declaredSchedules> => declaredSchedules({ type: type as never, workflow: 'Report' });

describe('schedules that a class declares', () => {
  it('are complete, in the order in which they stand', () => {
    @Schedule('0 0 9 * * *', { timeZone: 'Europe/Berlin' })
    @Schedule({ every: '10m' }, { id: 'often', userId: 'u1', payload: { short: true } })
    class Report {}
    expect(of(Report)).toEqual([
      { id: 'declared-default', recurrence: '0 0 9 * * *', userId: 'schedule', payload: {}, options: { timeZone: 'Europe/Berlin' } },
      { id: 'declared-often', recurrence: { every: '10m' }, userId: 'u1', payload: { short: true }, options: {} },
    ]);
  });

  it('are none for a class without', () => {
    expect(of(class {})).toEqual([]);
  });

  it('must be told apart, and name a user', () => {
    @Schedule({ every: '1s' })
    @Schedule({ every: '2s' })
    class Twice {}
    expect(() => of(Twice)).toThrow(/@Schedule of Report: id/);
    @Schedule({ every: '1s' }, { userId: '' })
    class Nobody {}
    expect(() => of(Nobody)).toThrow(/userId/);
  });
});
