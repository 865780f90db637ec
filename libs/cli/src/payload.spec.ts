import { payloadOf } from './payload.js';

it('makes a payload of pairs: texts, JSON values, nested fields', () => {
  expect(
    payloadOf(['orderId=o-1', 'priority:=3', 'tags:=["a"]', 'customer.name=Ada', 'customer.vip:=true', 'note=a=b:=c', 'empty=']),
  ).toEqual({
    orderId: 'o-1',
    priority: 3,
    tags: ['a'],
    customer: { name: 'Ada', vip: true },
    note: 'a=b:=c',
    empty: '',
  });
});

it('treats __proto__ as a field like others', () => {
  const payload = payloadOf(['__proto__.admin:=true', 'constructor.prototype.x=1']);
  expect(Object.keys(payload)).toEqual(['__proto__', 'constructor']);
  expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
});

it.each([
  ['priority', 'expected key=text'],
  ['=1', 'expected key=text'],
  ['n:={', 'is not JSON'],
])('refuses %s', (pair, text) => {
  expect(() => payloadOf([pair])).toThrow(text);
});

it('refuses a field below a value', () => {
  expect(() => payloadOf(['a=1', 'a.b=2'])).toThrow('a has a value already');
});
