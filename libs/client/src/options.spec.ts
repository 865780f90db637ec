import { LoopstackError } from '@loopstack/shared/contract';
import { resolveClientOptions, type ClientOptions } from './options.js';

describe('the options of a client', () => {
  it.each([
    [{ maxInFlight: 0 }, 'maxInFlight'],
    [{ maxInFlight: -1 }, 'maxInFlight'],
    [{ maxInFlight: Number.NaN }, 'maxInFlight'],
    [{ maxInFlight: '8' }, 'maxInFlight'],
    [{ whileDisconnected: 'foo' }, 'whileDisconnected'],
    [{ groupCommit: 'yes' }, 'groupCommit'],
    [{ domain: 'a b' }, 'domain'],
    [{ domain: '' }, 'domain'],
    [{ domain: 'a.*' }, 'domain'],
    [{ publishTimeout: '-1s' }, 'publishTimeout'],
  ] as unknown as [ClientOptions, string][])('%j are refused, by name', (options, option) => {
    let error: unknown;
    try {
      resolveClientOptions(options);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(LoopstackError);
    expect(error).toMatchObject({ code: 'OPTION_INVALID', details: { option } });
  });

  it('may name a domain and a timeout of months, which a timer can still keep', () => {
    expect(resolveClientOptions({ domain: 'leaf-1', requestTimeout: '90d' })).toMatchObject({
      api: '$JS.leaf-1.API',
      requestTimeoutMs: 2 ** 31 - 1,
    });
  });
});
