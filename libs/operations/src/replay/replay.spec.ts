import { wireNames, type RunEvent } from '@loopstack/shared/contract';
import { compileMapping, compilePatch, compileWhere } from './select/expression.js';
import { withCheckpoint } from './checkpoint.js';
import { Rate, batchSize } from './pace.js';
import { isAlive, newState, type ReplayReport } from './replay-log.js';
import { newReplayId, resolveReplay } from './select/resolve.js';
import { hasOutcome } from './select/run-histories.js';
import { placeOf } from './select/stream-scan.js';

const NAMES = wireNames();
const COMMAND = { workspace: 'W', workflow: 'F', payload: { n: 1, items: [{ sku: 'a' }] }, userId: 'u' };

describe('a predicate', () => {
  it.each<[string, unknown, boolean]>([
    ['@.n > 0', { n: 1 }, true],
    ['@.n > 0', { n: 0 }, false],
    ['?@.n == 1 && @.s', { n: 1, s: false }, true],
    ['@.missing', { n: 1 }, false],
    ['$.items[?@.sku == "b"]', { items: [{ sku: 'a' }] }, false],
    ['$.items[?@.sku == "b"]', { items: [{ sku: 'b' }] }, true],
    ['$..sku', null, false],
    ['@ == null', null, true],
  ])('%s of %j is %s', (text, payload, expected) => {
    expect(compileWhere(text)(payload)).toBe(expected);
  });

  it('is refused where it is no JSONPath', () => {
    expect(() => compileWhere('@.n >')).toThrow('Option where is invalid: expected JSONPath (RFC 9535)');
  });
});

describe('a patch', () => {
  it('does not carry a value from one command to the next', () => {
    const patch = compilePatch([
      { op: 'add', path: '/payload/tags', value: [] },
      { op: 'add', path: '/payload/tags/-', value: 'x' },
    ]);
    for (const _ of [1, 2]) expect(patch(structuredClone(COMMAND)).payload).toMatchObject({ tags: ['x'] });
  });

  it('is refused where it is none, and refuses what it does not apply to', () => {
    expect(() => compilePatch([{ op: 'change' as 'add', path: '/a' }])).toThrow('JSON Patch (RFC 6902)');
    expect(() => compilePatch([{ op: 'remove', path: '/payload/none' }])(structuredClone(COMMAND))).toThrow('the patch does not apply');
  });
});

describe('a mapping', () => {
  it('takes user and payload from where it is told', () => {
    const map = compileMapping({ workspace: 'W', workflow: 'F', userPath: '$.customer.id', payloadPath: '$.order' });
    expect(map({ customer: { id: 7 }, order: { n: 1 } })).toEqual({ workspace: 'W', workflow: 'F', payload: { n: 1 }, userId: '7' });
    expect(() => map({ order: {} })).toThrow('map.userPath finds nothing');
    expect(() => map({ customer: { id: {} }, order: {} })).toThrow('finds object where a string is needed');
  });

  it('needs one user', () => {
    expect(() => compileMapping({ workspace: 'W', workflow: 'F' })).toThrow('either user or userPath, received neither');
    expect(() => compileMapping({ workspace: 'W', workflow: 'F', user: 'u', userPath: '$' })).toThrow('received both');
  });
});

describe('a request', () => {
  it('asks for the subjects of a workflow in all lanes', () => {
    expect(resolveReplay({ workspace: 'W', workflow: 'F' }, {}, NAMES).subjects).toEqual(['loopstack.run.W.F', 'loopstack.lane.*.W.F']);
    expect(resolveReplay({ source: 'dead' }, {}, NAMES).subjects).toEqual(['loopstack.dead.*.*']);
  });

  it.each([
    [{ source: 'all' as 'runs' }, 'source'],
    [{ source: { stream: 'a.b' } }, 'source.stream'],
    [{ source: { stream: 'S' } }, 'map'],
    [{ map: { workspace: 'W', workflow: 'F', user: 'u' } }, 'map'],
    [{ outcome: 'lost' as 'failed' }, 'outcome'],
    [{ source: 'dead' as const, outcome: 'failed' as const }, 'outcome'],
    [{ reason: 'failed' as const }, 'reason'],
    [{ since: 'yesterday' }, 'since'],
    [{ sample: 0 }, 'sample'],
    [{ sample: 1.1 }, 'sample'],
    [{ limit: 0 }, 'limit'],
    [{ rate: -1 }, 'rate'],
    [{ maxQueued: 0.5 }, 'maxQueued'],
    [{ subjects: ['a b'] }, 'subjects'],
    [{ subjects: 'a' as never }, 'subjects'],
    [{ where: 5 as never }, 'where'],
    [{ patch: {} as never }, 'patch'],
    [{ since: 5 as never }, 'since'],
    [{ source: null as never }, 'source'],
    [{ workflw: 'F' } as never, 'workflw'],
    [{ modules: { where: { path: 'x', sha256: 'y' } } }, 'where'],
    [{ source: { stream: 'S' }, as: 'same-run' as const, map: { workspace: 'W', workflow: 'F', user: 'u' } }, 'as'],
  ])('%j is refused at %s', (request, option) => {
    expect(() => resolveReplay(request, {}, NAMES)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', details: expect.objectContaining({ option }) as object }) as Error,
    );
  });

  it('gets a name that sorts by time', () => {
    expect(newReplayId(1_700_000_000_000, 0.5)).toBe('loyw3v28-i000');
    expect([newReplayId(2, 0.9), newReplayId(1, 0.1)].toSorted()[0]).toBe(newReplayId(1, 0.1));
  });
});

describe('the outcome of a run', () => {
  const event = (type: RunEvent['type'], fields: Partial<RunEvent> = {}): RunEvent => ({ type, at: '', attempt: 1, ...fields });
  it.each<[string, Parameters<typeof hasOutcome>, boolean]>([
    ['is that of its last event', ['failed', event('failed'), 5, false], true],
    ['is no other', ['failed', event('succeeded'), 5, false], false],
    ['is none before there is an event', ['failed', undefined, 5, false], false],
    ['belongs to the command that recorded it', ['failed', event('failed', { sequence: 9 }), 5, false], false],
    ['never-ran: no event, not queued', ['never-ran', undefined, 5, false], true],
    ['never-ran: it waits', ['never-ran', undefined, 5, true], false],
    ['never-ran: expired before its first attempt', ['never-ran', event('expired', { attempt: 0 }), 5, false], true],
    ['never-ran: canceled in an attempt', ['never-ran', event('canceled'), 5, false], false],
  ])('%s', (_, args, expected) => {
    expect(hasOutcome(...args)).toBe(expected);
  });
});

describe('the pace', () => {
  it.each([
    [undefined, 999],
    [1, 1],
    [50, 10],
    [1_000_000, 999],
  ])('at %s a second a batch has %i commands', (rate, size) => {
    expect(batchSize(rate)).toBe(size);
  });

  it('does not make up for time that was not used', () => {
    const rate = new Rate(10);
    expect(rate.take(10, 0)).toBe(0);
    expect(rate.take(5, 0)).toBe(1000);
    expect(rate.take(5, 10_000)).toBe(0);
    expect(rate.take(1, 10_000)).toBe(500);
    expect(new Rate(undefined).take(1000, 0)).toBe(0);
  });
});

describe('a mark', () => {
  const report = {
    id: 'r',
    ...newState('ada', ''),
    markSequence: 10,
    position: 50,
    invalid: [{ sequence: 60, code: 'X', message: '' }],
  } as unknown as ReplayReport;
  const mark = (position: number): string =>
    JSON.stringify({ token: 't', position, counts: { ...report.counts, published: 7 }, workedMs: 5 });

  it('wins over the log, where they differ', () => {
    expect(withCheckpoint(report, mark(55), 11)).toMatchObject({
      position: 55,
      markSequence: 11,
      counts: { published: 7 },
      workedMs: 5,
      invalid: [],
    });
    expect(withCheckpoint(report, mark(40), 11)).toMatchObject({ position: 40 });
  });

  it('leaves the log where it is ahead of the same mark', () => {
    expect(withCheckpoint(report, mark(40), 10)).toBe(report);
  });
});

describe('a replay', () => {
  const now = Date.now();
  const state = { ...newState('ada', new Date(now).toISOString()), runner: 'elsewhere:1' };
  it.each([
    ['is alive while it is heard of', state, true],
    ['is dead after ten seconds of silence', { ...state, heartbeatAt: new Date(now - 10_000).toISOString() }, false],
    ['is not alive when it has ended', { ...state, status: 'completed' as const }, false],
  ])('%s', (_, given, alive) => {
    expect(isAlive(given, now)).toBe(alive);
  });
});

describe('a place in a stream', () => {
  it.each(['$JS.ACK.S.C.1.42.7.1700000000123456789.3', '$JS.ACK.hub.HASH.S.C.1.42.7.1700000000123456789.3.x'])(
    'is read from %s',
    (reply) => {
      expect(placeOf(reply)).toEqual({ sequence: 42, consumerSequence: 7, timeMs: 1_700_000_000_123, pending: 3 });
    },
  );
});
