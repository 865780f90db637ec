import fc from 'fast-check';
import { eventDurable, isEventDurable } from './durable.js';

describe('eventDurable', () => {
  it('can be read', () => {
    expect(eventDurable('loopstack', 'on', 'Orders', 'ProcessOrder', 'orders.*.paid')).toBe(
      'loopstack~on~Orders~ProcessOrder~orders,+,paid',
    );
    expect(eventDurable('loopstack', 'on', 'Orders', 'ProcessOrder', 'orders.>')).toBe('loopstack~on~Orders~ProcessOrder~orders,#');
  });

  it.each([
    ['a.b', 'a,b'],
    ['a.*', 'a.+'],
    ['a.>', 'a.#'],
    ['a~b', 'a%7Eb'],
    ['ü', '%C3%BC'],
    ['x'.repeat(300), 'x'.repeat(301)],
  ])('tells %j from %j', (a, b) => {
    expect(eventDurable('p', 'on', 'W', 'F', a)).not.toBe(eventDurable('p', 'on', 'W', 'F', b));
  });

  it('is injective, and a name that the server takes', () => {
    const parts = fc.array(fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.stringMatching(/^[ab.*>~,+#%=]{1,4}$/)), {
      minLength: 2,
      maxLength: 3,
    });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [first, second] = [eventDurable('p', 'on', ...a), eventDurable('p', 'on', ...b)];
        expect(first).toMatch(/^[^\s.*>/\\]{1,255}$/u);
        if (JSON.stringify(a) !== JSON.stringify(b)) expect(first).not.toBe(second);
      }),
      { numRuns: 2000 },
    );
  });

  it('is known as ours by its prefix', () => {
    expect(isEventDurable('loopstack', eventDurable('loopstack', 'then', 'A', 'B', 'C', 'D', 'succeeded'))).toBe(true);
    expect(isEventDurable('loopstack', eventDurable('other', 'on', 'A', 'B', 'x'))).toBe(false);
    expect(isEventDurable('loopstack', 'Orders~ProcessOrder')).toBe(false);
  });
});
