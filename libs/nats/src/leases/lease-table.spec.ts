import { LeaseTable, SLOTS } from './lease-table.js';

describe('the table of leases', () => {
  const due = (table: LeaseTable, nowMs: number): string[] => {
    const renewed: string[] = [];
    table.renewDue(nowMs, (reply) => renewed.push(reply));
    return renewed;
  };

  it('renews a lease that is a third of its period old, once, and not before', () => {
    const table = new LeaseTable();
    table.acquire('$JS.ACK.a', 3000, 1000);
    expect(due(table, 1999)).toEqual([]);
    expect(due(table, 2000)).toEqual(['$JS.ACK.a']);
    expect(due(table, 2999)).toEqual([]);
    expect(due(table, 3000)).toEqual(['$JS.ACK.a']);
  });

  it('renews where the domain is not ASCII', () => {
    const table = new LeaseTable();
    table.acquire('$JS.ACK.東京.a', 3000, 0);
    table.acquire('$JS.ACK.b', 3000, 0);
    expect(due(table, 1000)).toEqual(['$JS.ACK.東京.a', '$JS.ACK.b']);
  });

  it('renews earlier where it is told to', () => {
    const table = new LeaseTable();
    table.acquire('$JS.ACK.a', 30_000, 1000);
    const renewed: string[] = [];
    for (const nowMs of [1900, 2000, 2900, 3000]) table.renewDue(nowMs, (reply) => renewed.push(`${reply} ${nowMs}`), 1000);
    expect(renewed).toEqual(['$JS.ACK.a 2000', '$JS.ACK.a 3000']);
  });

  it('never renews a lease that is older than its period: another worker may have it', () => {
    const table = new LeaseTable();
    table.acquire('$JS.ACK.a', 3000, 1000);
    expect(due(table, 4000)).toEqual([]);
  });

  it('shows what the other thread renewed', () => {
    const table = new LeaseTable();
    const slot = table.acquire('$JS.ACK.a', 3000, 1000);
    new LeaseTable(table.memory).renewDue(2500, () => undefined);
    expect(table.leasedAtMs(slot)).toBe(2500);
  });

  it('forgets a lease that is released, and uses its slot again', () => {
    const table = new LeaseTable();
    const slot = table.acquire('$JS.ACK.first', 3000, 0);
    table.release(slot);
    expect(due(table, 1500)).toEqual([]);
    expect(table.acquire('$JS.ACK.second', 3000, 0)).toBe(slot);
    expect(due(table, 1500)).toEqual(['$JS.ACK.second']);
  });

  it('says that it is full, and that a subject is too long, instead of forgetting a lease', () => {
    const table = new LeaseTable();
    expect(table.acquire('x'.repeat(1000), 3000, 0)).toBe(-1);
    expect(table.acquire('東'.repeat(200), 3000, 0)).toBe(-1);
    for (let i = 0; i < SLOTS; i++) table.acquire(`$JS.ACK.${i}`, 3000, 0);
    expect(table.acquire('$JS.ACK.more', 3000, 0)).toBe(-1);
  });

  it('tells what executes, and renews it like all others', () => {
    const table = new LeaseTable();
    const slot = table.acquire('$JS.ACK.a', 3000, 1000);
    table.acquire('$JS.ACK.b', 3000, 1000);
    expect(table.executing()).toEqual([]);
    table.executes(slot);
    expect(table.executing()).toEqual(['$JS.ACK.a']);
    expect(due(table, 2000)).toEqual(['$JS.ACK.a', '$JS.ACK.b']);
    table.release(slot);
    expect(table.executing()).toEqual([]);
  });
});
