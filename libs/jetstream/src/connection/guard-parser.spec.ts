import { Match, headers, type MsgHdrs } from 'nats';
import { lookHeadersUpInTheirTable, readHeadersAnyway } from './guard-parser.js';

describe('headers of the client library', () => {
  lookHeadersUpInTheirTable();
  lookHeadersUpInTheirTable();

  it.each([
    ['a name with a blank', 'a b: 1'],
    ['a name beyond ASCII', 'ä: 1'],
    ['a bare line feed in a value', 'a: 1\n2'],
    ['a line that is none', 'nothing'],
  ])('are read without those that no client writes: %s', (_, line) => {
    readHeadersAnyway();
    readHeadersAnyway();
    const { decode } = headers().constructor as unknown as { decode(bytes: Uint8Array): MsgHdrs };
    const read = decode(Buffer.from(`NATS/1.0 404 Not Found\r\nfirst: 1\r\n${line}\r\nlast: 2\r\n\r\n`));
    expect([...read].filter(([name]) => name !== 'a')).toEqual([
      ['first', ['1']],
      ['last', ['2']],
    ]);
    expect([read.code, read.description]).toEqual([404, 'Not Found']);
  });

  it('are found as before, by each kind of match', () => {
    const set = headers();
    set.append('Some-Name', '1');
    set.append('Some-Name', '2');
    set.append('some-name', '3');
    expect(set.values('Some-Name')).toEqual(['1', '2']);
    expect(set.values('some-name')).toEqual(['3']);
    expect(set.values('SOME-NAME')).toEqual([]);
    expect(set.values('SOME-name', Match.CanonicalMIME)).toEqual(['1', '2']);
    expect(set.values('SOME-NAME', Match.IgnoreCase)).toEqual(['1', '2', '3']);
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
    const { decode } = headers().constructor as unknown as { decode(bytes: Uint8Array): unknown };
    const once = (): number => {
      const began = performance.now();
      decode(block);
      return performance.now() - began;
    };
    // Before, 150 ms. The shortest of a few: what is measured is not the machine.
    expect(Math.min(...Array.from({ length: 10 }, once))).toBeLessThan(40);
  });
});
