import { mangledName } from './class-name.js';

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
