import { deliveryFacts, durableIn } from './delivery-facts.js';

describe('the reply subject of a delivery', () => {
  const facts = { deliveries: 2, sequence: 1234567, consumerSequence: 890, timeMs: 1764000000123, pending: 41 };

  it.each([
    ['in the short form', '$JS.ACK.LOOPSTACK_RUNS.Orders~Process.2.1234567.890.1764000000123456789.41'],
    ['with domain and account', '$JS.ACK.hub.AbCdEf12.LOOPSTACK_RUNS.Orders~Process.2.1234567.890.1764000000123456789.41'],
    ['with a random token behind', '$JS.ACK.hub.AbCdEf12.LOOPSTACK_RUNS.Orders~Process.2.1234567.890.1764000000123456789.41.x7'],
  ])('is read %s', (_, reply) => {
    expect(deliveryFacts(reply)).toEqual(facts);
    expect(durableIn(reply)).toBe('Orders~Process');
  });

  it('keeps sequences beyond 32 bits', () => {
    expect(deliveryFacts('$JS.ACK.S.C.1.9007199254740991.4294967297.1764000000123456789.0')).toMatchObject({
      sequence: 9007199254740991,
      consumerSequence: 4294967297,
      pending: 0,
    });
  });
});
