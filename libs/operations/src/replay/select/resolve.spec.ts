import { wireNames } from '@loopstack/shared/contract';
import { newReplayId, resolveReplay } from './resolve.js';

const NAMES = wireNames();

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
