import { windowProblems, type Windows } from './signature-windows.js';

describe('what streams must remember of signed commands', () => {
  it.each<readonly [string, Windows, readonly string[]]>([
    ['both as long as signatures are good', { deduplicationMs: 120_000, eventsMs: 120_000 }, []],
    ['events for ever', { deduplicationMs: 120_000, eventsMs: Infinity }, []],
    ['no message ids', { deduplicationMs: 0, eventsMs: Infinity }, ['runs.deduplication is 0 ms']],
    ['message ids for less', { deduplicationMs: 119_999, eventsMs: Infinity }, ['runs.deduplication is 119999 ms']],
    ['events for less', { deduplicationMs: 120_000, eventsMs: 1000 }, ['events.maxAge is 1000 ms']],
    ['neither', { deduplicationMs: 1, eventsMs: 2 }, ['runs.deduplication is 1 ms', 'events.maxAge is 2 ms']],
  ])('%s', (_, windows, expected) => {
    const problems = windowProblems('Payments', 120_000, windows);
    expect(problems.map((problem) => problem.split(', ')[0])).toEqual(expected);
    for (const problem of problems)
      expect(problem).toMatch(/trust\.Payments\.maxValidity \(120000 ms\).*: raise the first or lower the second$/);
  });
});
