import { headers as headers3, Match as Match3, type MsgHdrs } from '@nats-io/transport-node';
import { headers as headers2, Match as Match2 } from 'nats';
import type { HeaderLibrary } from './client-library.js';
import { lookHeadersUpInTheirTable, readHeadersAnyway } from './guard-parser.js';

/** Of each version: its headers, how a block is read, and how it calls matches beyond the exact one. */
const LIBRARIES = [
  ['nats', headers2, Match2],
  ['nats-core', headers3, Match3],
] as const;

const libraryOf = (headers: () => object): HeaderLibrary => headers().constructor as unknown as HeaderLibrary;

describe.each(LIBRARIES)('headers of %s', (_library, headers, matches) => {
  const library = libraryOf(headers);
  lookHeadersUpInTheirTable(library);
  lookHeadersUpInTheirTable(library);

  it.each([
    ['a name with a blank', 'a b: 1'],
    ['a name beyond ASCII', 'ä: 1'],
    ['a bare line feed in a value', 'a: 1\n2'],
    ['a line that is none', 'nothing'],
  ])('are read without those that no client writes: %s', (_, line) => {
    readHeadersAnyway(library);
    readHeadersAnyway(library);
    const read = library.decode(Buffer.from(`NATS/1.0 404 Not Found\r\nfirst: 1\r\n${line}\r\nlast: 2\r\n\r\n`));
    expect([...read].filter(([name]) => name !== 'a')).toEqual([
      ['first', ['1']],
      ['last', ['2']],
    ]);
    expect([read.code, read.description]).toEqual([404, 'Not Found']);
  });

  it('are found as before, by each kind of match', () => {
    const set = headers() as MsgHdrs;
    const { CanonicalMIME, IgnoreCase } = matches as typeof Match3;
    set.append('Some-Name', '1');
    set.append('Some-Name', '2');
    set.append('some-name', '3');
    expect(set.values('Some-Name')).toEqual(['1', '2']);
    expect(set.values('some-name')).toEqual(['3']);
    expect(set.values('SOME-NAME')).toEqual([]);
    expect(set.values('SOME-name', CanonicalMIME)).toEqual(['1', '2']);
    expect(set.values('SOME-NAME', IgnoreCase)).toEqual(['1', '2', '3']);
    set.set('Some-Name', '4');
    expect([...set]).toEqual([
      ['some-name', ['3']],
      ['Some-Name', ['4']],
    ]);
    set.delete('some-name');
    expect([set.has('some-name'), set.get('Some-Name'), set.get('absent')]).toEqual([false, '4', '']);
  });

  it('are read in a time that grows with their number, not with its square', () => {
    const block = Buffer.from(`NATS/1.0\r\n${Array.from({ length: 6000 }, (_, i) => `N${i}:\r\n`).join('')}\r\n`);
    const once = (): number => {
      const began = performance.now();
      library.decode(block);
      return performance.now() - began;
    };
    // Before, 150 ms. The shortest of a few: what is measured is not the machine.
    expect(Math.min(...Array.from({ length: 10 }, once))).toBeLessThan(40);
  });
});
