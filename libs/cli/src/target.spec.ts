import { checkKnown, distance, meant, parseRun, parseTarget } from './target.js';

it.each([
  ['order', 'order', 0],
  ['Order', 'oRDER', 0],
  ['ordre', 'order', 1],
  ['oder', 'order', 1],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
])('%s and %s are %i apart', (a, b, far) => {
  expect(distance(a, b)).toBe(far);
  expect(distance(b, a)).toBe(far);
});

it('finds what was meant, and nothing where nothing is near', () => {
  expect(meant('ProcesOrder', ['CancelOrder', 'ProcessOrder'])).toBe('ProcessOrder');
  expect(meant('Invoice', ['CancelOrder', 'ProcessOrder'])).toBeUndefined();
  expect(meant('Invoice', [])).toBeUndefined();
});

it.each(['Orders', 'Orders.', '.Process', 'A.B.C', 'Or ders.Process', 'Orders.*'])('%s is no target', (text) => {
  expect(() => parseTarget(text)).toThrow(/is not/);
});

it('refuses what nobody knows, where anybody knows anything', () => {
  const known = [parseTarget('Orders.ProcessOrder')];
  expect(() => checkKnown(parseTarget('Orders.ProcessOrder'), known)).not.toThrow();
  expect(() => checkKnown(parseTarget('Orders.Other'), [])).not.toThrow();
  expect(() => checkKnown(parseTarget('Orders.ProcessOdrer'), known)).toThrow(
    expect.objectContaining({
      code: 'WORKFLOW_UNKNOWN',
      fix: expect.stringContaining('Did you mean Orders.ProcessOrder?') as string,
    }) as Error,
  );
  const long = [parseTarget('OrdersWorkspace.ProcessOrderWorkflow'), parseTarget('OrdersWorkspace.CancelOrderWorkflow')];
  expect(() => checkKnown(parseTarget('orders.ProcessOrder'), long)).toThrow(
    expect.objectContaining({ fix: expect.stringContaining('Did you mean OrdersWorkspace.ProcessOrderWorkflow?') as string }) as Error,
  );
  expect(() => checkKnown(parseTarget('Bills.Pay'), known)).toThrow(
    expect.objectContaining({
      code: 'WORKSPACE_UNKNOWN',
      fix: expect.stringContaining('Known are Orders.ProcessOrder') as string,
    }) as Error,
  );
});

it('reads a run: its id, or its id with the address', () => {
  const reference = { workspace: 'W', workflow: 'F', id: 'r-1' };
  expect(parseRun('r-1')).toBe('r-1');
  expect(parseRun('W.F.r-1')).toEqual(reference);
  expect(parseRun('r-1', { workspace: 'W', workflow: 'F' })).toEqual(reference);
  for (const wrong of ['', '*', 'W.F', 'W.F.', 'W.F.*', '.F.r', 'W.F.r.x']) expect(() => parseRun(wrong)).toThrow(/is not a valid name/);
  expect(() => parseRun('r-1', { workspace: 'W' })).toThrow('both --workspace and --workflow');
});
