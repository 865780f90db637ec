import { MAX_CONTRACTS, contractsOf, decodeContract, decodeNotice, running, type HeardNotice } from './release.js';

const MINUTE = 60_000;
const notice = (release: string, timeMs: number, contracts: Record<string, string> = { Ship: release }): HeardNotice => ({
  release,
  timeMs,
  silenceMs: 2 * MINUTE,
  contracts,
});
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

describe('notices of releases', () => {
  it.each<[string, HeardNotice[], string[]]>([
    ['none', [], []],
    ['one, however long ago', [notice('a', 5)], ['a']],
    ['two that were heard of lately', [notice('a', 0), notice('b', 2 * MINUTE - 1)], ['b', 'a']],
    ['one that has fallen silent', [notice('a', 0), notice('b', 2 * MINUTE)], ['b']],
    ['one that has said how long it may be silent', [{ ...notice('a', 0), silenceMs: 5 * MINUTE }, notice('b', 4 * MINUTE)], ['b', 'a']],
  ])('tell which ones run: %s', (_, notices, expected) => {
    expect(running(notices).map(({ release }) => release)).toEqual(expected);
  });

  it('tell the contracts of a workflow once each, and a bounded number', () => {
    expect(contractsOf('Ship', [notice('a', 1, { Ship: 'x' }), notice('b', 2, { Ship: 'x' }), notice('c', 3, { Pack: 'y' })])).toEqual([
      'x',
    ]);
    expect(contractsOf('constructor', [notice('a', 1)])).toEqual([]);
    expect(contractsOf('__proto__', [notice('a', 1, JSON.parse('{"__proto__":"x"}') as Record<string, string>)])).toEqual(['x']);
    expect(
      contractsOf(
        'Ship',
        Array.from({ length: 50 }, (_, i) => notice(`r${i}`, i)),
      ),
    ).toHaveLength(MAX_CONTRACTS);
  });

  it.each([['{'], ['null'], ['[]'], [{}], [{ silenceMs: '1', contracts: {} }], [{ silenceMs: 1, contracts: { a: '../x' } }]])(
    'are nothing else: %p',
    (value) => expect(decodeNotice(bytes(value))).toBeUndefined(),
  );

  it('are read as they were written, and contracts, too', () => {
    const written = { release: '1.2', silenceMs: 1, contracts: { Ship: 'a-b_C9' } };
    expect(decodeNotice(bytes(written))).toEqual(written);
    expect(decodeContract(bytes({ payload: { type: 'object' } }))).toEqual({ payload: { type: 'object' } });
    expect(decodeContract(bytes({}))).toEqual({});
    for (const bad of ['', '5', { payload: 5 }, { payload: null }]) expect(decodeContract(bytes(bad))).toBeUndefined();
  });
});
