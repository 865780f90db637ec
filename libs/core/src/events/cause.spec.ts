import { headerReader } from '@loopstack/shared';
import {
  assertCauseDepth,
  assertCauseNotTooDeep,
  causeDepthOf,
  causeHeaders,
  currentCauseHeaders,
  headersFromEvent,
  withCause,
} from './cause.js';

const CAUSE = { runId: 'run-1', correlationId: 'order-7', causeDepth: 3 };

describe('causeHeaders', () => {
  it('name the run, pass the correlation on and count one further', () => {
    expect(causeHeaders(CAUSE)).toEqual({
      'Loopstack-Cause': 'run-1',
      'Loopstack-Cause-Depth': '4',
      'Loopstack-Correlation-Id': 'order-7',
    });
  });
});

describe('withCause', () => {
  it('lasts through what is awaited, and is told apart from what runs beside it', async () => {
    const seen = async (): Promise<string | undefined> => {
      await new Promise((resolve) => setImmediate(resolve));
      return currentCauseHeaders()?.['Loopstack-Cause'];
    };
    const [a, b, none] = await Promise.all([withCause(CAUSE, seen), withCause({ ...CAUSE, runId: 'run-2' }, seen), seen()]);
    expect([a, b, none]).toEqual(['run-1', 'run-2', undefined]);
  });

  it('hands arguments and result through', () => {
    expect(withCause(CAUSE, (a: number, b: number) => a + b, 1, 2)).toBe(3);
  });
});

describe('causeDepthOf', () => {
  it.each([
    [undefined, 0],
    ['0', 0],
    ['12', 12],
    ['-1', 0],
    ['1e3', 0],
    ['', 0],
    ['9999999999', 0],
  ])('%j is %i', (header, depth) => {
    expect(causeDepthOf(header)).toBe(depth);
  });
});

describe('assertCauseDepth', () => {
  it.each(['0', '31', '32', undefined])('lets %j pass where 32 is the limit', (header) => {
    expect(() => assertCauseDepth(header, 32)).not.toThrow();
  });

  it('refuses one more', () => {
    expect(() => assertCauseDepth('33', 32)).toThrow(
      expect.objectContaining({ code: 'CAUSE_TOO_DEEP', details: { depth: 33, limit: 32 } }),
    );
  });
});

describe('assertCauseNotTooDeep', () => {
  it.each([0, 31, 32])('lets what reacts to a run of depth %i start a run', (causeDepth) => {
    expect(() => withCause({ ...CAUSE, causeDepth }, assertCauseNotTooDeep, 32)).not.toThrow();
  });

  it('refuses what reacts to a run that was too deep itself', () => {
    expect(() => withCause({ ...CAUSE, causeDepth: 33 }, assertCauseNotTooDeep, 32)).toThrow(
      expect.objectContaining({ code: 'CAUSE_TOO_DEEP' }),
    );
  });

  it('lets everything start outside of runs', () => {
    expect(() => assertCauseNotTooDeep(0)).not.toThrow();
  });
});

describe('headersFromEvent', () => {
  it.each([
    ['nothing of an event without a cause', { other: 'x' }, {}],
    ['tracing', { traceparent: 't', tracestate: 's' }, { traceparent: 't', tracestate: 's' }],
    ['a correlation alone', { 'Loopstack-Correlation-Id': 'c' }, { 'Loopstack-Correlation-Id': 'c' }],
    [
      'the cause that a run gave to its event',
      { 'Loopstack-Cause': 'r', 'Loopstack-Cause-Depth': '2', 'Loopstack-Correlation-Id': 'c' },
      { 'Loopstack-Cause': 'r', 'Loopstack-Cause-Depth': '2', 'Loopstack-Correlation-Id': 'c' },
    ],
    [
      'the run that a dead letter is about, one further',
      { 'Loopstack-Run-Id': 'r', 'Loopstack-Cause': 'before', 'Loopstack-Cause-Depth': '2' },
      { 'Loopstack-Cause': 'r', 'Loopstack-Cause-Depth': '3', 'Loopstack-Correlation-Id': 'r' },
    ],
    [
      'a cause whose depth is no count',
      { 'Loopstack-Cause': 'r', 'Loopstack-Cause-Depth': 'many' },
      { 'Loopstack-Cause': 'r', 'Loopstack-Cause-Depth': '1', 'Loopstack-Correlation-Id': 'r' },
    ],
  ])('take over %s', (_, event, headers) => {
    expect(headersFromEvent(headerReader(event))).toEqual(headers);
  });
});
