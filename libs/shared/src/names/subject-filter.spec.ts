import { capturedTokens, filterCovers, filtersOverlap, isSubjectFilter } from './subject-filter.js';

describe('isSubjectFilter', () => {
  it.each(['orders', 'orders.created', 'orders.*.paid', 'orders.>', '>', '*', '$KV.bucket.>', 'bücher.neu'])('accepts %s', (filter) => {
    expect(isSubjectFilter(filter)).toBe(true);
  });

  it.each([
    '',
    '.',
    'orders.',
    '.orders',
    'orders..paid',
    'orders.>.paid',
    'orders.a*',
    'orders.>>',
    'or ders',
    'orders\n',
    'a\u0000b',
    7,
    undefined,
  ])('refuses %j', (filter) => {
    expect(isSubjectFilter(filter)).toBe(false);
  });
});

describe('filtersOverlap', () => {
  it.each([
    ['orders.created', 'orders.created', true],
    ['orders.created', 'orders.paid', false],
    ['orders.*', 'orders.paid', true],
    ['orders.*', 'orders.eu.paid', false],
    ['orders.*.paid', 'orders.eu.*', true],
    ['orders.*.paid', '*.eu.created', false],
    ['orders.>', 'orders', false],
    ['orders.>', 'orders.eu.paid', true],
    ['orders.>', '*.eu', true],
    ['>', 'orders', true],
    ['orders', 'orders.eu', false],
  ])('%s and %s: %s', (a, b, overlap) => {
    expect(filtersOverlap(a, b)).toBe(overlap);
    expect(filtersOverlap(b, a)).toBe(overlap);
  });
});

describe('filterCovers', () => {
  it.each([
    ['orders.created', 'orders.created', true],
    ['orders.*', 'orders.created', true],
    ['orders.created', 'orders.*', false],
    ['orders.>', 'orders.*.paid', true],
    ['orders.*', 'orders.>', false],
    ['orders.>', 'orders.>', true],
    ['orders.>', 'orders', false],
    ['>', '*', true],
    ['orders.*', 'orders.*', true],
    ['orders.*.*', 'orders.*', false],
  ])('%s covers %s: %s', (wide, narrow, covers) => {
    expect(filterCovers(wide, narrow)).toBe(covers);
  });
});

describe('capturedTokens', () => {
  it.each([
    ['orders.created', 'orders.created', []],
    ['orders.*.paid', 'orders.eu.paid', ['eu']],
    ['*.*.paid', 'orders.eu.paid', ['orders', 'eu']],
    ['orders.>', 'orders.eu.paid', ['eu', 'paid']],
    ['*.>', 'orders.eu', ['orders', 'eu']],
  ])('of %s in %s', (filter, subject, tokens) => {
    expect(capturedTokens(filter, subject)).toEqual(tokens);
  });
});
