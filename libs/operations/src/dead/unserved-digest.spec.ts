import { Digest, shownNames } from './unserved-digest.js';

describe('what waits for workflows that nobody serves', () => {
  it('is told with the names that have most commands, and the number of the others', () => {
    const digest = new Digest();
    for (let i = 0; i < 20_000; i++) digest.add({ workspace: 'Made', workflow: `Up${i}` }, 1);
    digest.add({ workspace: 'Orders', workflow: 'ProcesOrder' }, 5);
    digest.add({ workspace: 'Orders', workflow: 'ProcesOrder' }, 7);
    expect([digest.names, digest.commands, digest.top.length]).toEqual([20_001, 20_012, 10]);
    expect(digest.top[0]).toEqual({ workspace: 'Orders', workflow: 'ProcesOrder', commands: 12 });
    expect(shownNames(digest)).toMatch(/^Orders\.ProcesOrder \(12 so far\), Made\.Up\d+ \(1 so far\), .* and 19,991 other workflows$/);
  });

  it('is told by name where there are few', () => {
    const digest = new Digest();
    digest.add({ workspace: 'A', workflow: 'B' }, 2);
    expect(shownNames(digest)).toBe('A.B (2 so far)');
    expect(shownNames(new Digest())).toBe('');
  });
});
