import { exchangedNames, mangledName } from './class-name.js';

describe('a name that comes from a class', () => {
  it.each(['t', 'n', 'A', '$', '_', 'e1', 'aB', 'Ab', '_t', '$e', 'abc', 'aBc', 'e1t', 'A1b', ''])(
    '%p is taken for one of a minifier',
    (name) => {
      expect(mangledName(name, false)).toContain("name: '…'");
    },
  );

  it.each(['Pay', 'API', 'Ship', 'ship', 'Orders', 'ProcessOrderWorkflow', 'x509'])('%p is taken for one of the source', (name) => {
    expect(mangledName(name, false)).toBeUndefined();
  });

  it('may be anything in a test', () => {
    expect(mangledName('t', true)).toBeUndefined();
    expect(mangledName('t')).toBeUndefined();
  });
});

describe('names of workflows are taken for exchanged', () => {
  const of = (schemas: Record<string, string>): Map<string, string> => new Map(Object.entries(schemas));
  it.each<[string, Record<string, string>, Record<string, string>, string[]]>([
    ['where two have the schema of each other', { A: 'ship', B: 'refund' }, { A: 'refund', B: 'ship' }, ['A:B', 'B:A']],
    ['where three go round', { A: '1', B: '2', C: '3' }, { A: '2', B: '3', C: '1' }, ['A:B', 'B:C', 'C:A']],
    ['where one takes what its neighbor had, who has changed', { A: '1', B: '2' }, { A: '2', B: '3' }, ['A:B']],
    ['not where one schema changes', { A: '1', B: '2' }, { A: '3', B: '2' }, []],
    ['not where one becomes like another that stays', { A: '1', B: '2' }, { A: '2', B: '2' }, []],
    ['not where nothing changes', { A: '1', B: '1' }, { A: '1', B: '1' }, []],
    ['not where a workflow is new', { A: '1' }, { A: '1', B: '1' }, []],
  ])('%s', (_, before, now, expected) => {
    expect(exchangedNames(of(before), of(now)).map(({ workflow, formerly }) => `${workflow}:${formerly}`)).toEqual(expected);
  });
});
