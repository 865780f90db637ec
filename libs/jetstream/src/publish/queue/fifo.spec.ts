import fc from 'fast-check';
import { Fifo } from './fifo.js';

describe('a queue', () => {
  it('gives back what an array would', () => {
    const step = fc.oneof({ weight: 3, arbitrary: fc.nat() }, fc.constantFrom('shift' as const, 'remove' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        for (const action of steps) {
          if (action === 'shift') expect(fifo.shift()).toBe(model.shift());
          else if (action === 'remove') {
            fifo.removeWhere((n) => n % 3 === 0);
            model = model.filter((n) => n % 3 !== 0);
          } else {
            fifo.push(action);
            model.push(action);
          }
          expect([fifo.length, fifo.peek()]).toEqual([model.length, model[0]]);
        }
        const rest: number[] = [];
        fifo.forEach((n) => rest.push(n));
        expect(rest).toEqual(model);
      }),
    );
  });

  it('takes the same time for each of 300,000', () => {
    const fifo = new Fifo<number>();
    for (let i = 0; i < 300_000; i++) fifo.push(i);
    const began = performance.now();
    for (let i = 0; i < 300_000; i++) if (fifo.shift() !== i) throw new Error('out of order');
    expect(performance.now() - began).toBeLessThan(2000);
    expect(fifo.shift()).toBeUndefined();
  });
});
