import { totals } from './process-order.workflow.js';

describe('totals', () => {
  it('adds up the lines in whole cents', () => {
    const items = [
      { sku: 'tea', quantity: 3, unitPriceCents: 19 },
      { sku: 'cup', quantity: 10_000, unitPriceCents: 100_000_000 },
    ];
    expect(totals(items)).toEqual({
      lines: [
        { sku: 'tea', quantity: 3, amountCents: 57 },
        { sku: 'cup', quantity: 10_000, amountCents: 1_000_000_000_000 },
      ],
      totalCents: 1_000_000_000_057,
    });
  });
});
