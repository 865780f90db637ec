import { jest } from '@jest/globals';
import fc from 'fast-check';
import { Worker } from 'node:worker_threads';
import { isSkewed, monotonicMs, serverOffset, skewProblem } from './clock.js';

describe('time that passes', () => {
  it('is counted from the same moment by all threads', async () => {
    const count = 'const ms = Number(process.hrtime.bigint()) / 1e6; require("node:worker_threads").parentPort.postMessage(ms)';
    const before = monotonicMs();
    const other = await new Promise<number>((resolve) => new Worker(count, { eval: true }).once('message', resolve));
    // A day is added, so that 0 is long ago.
    expect(other + 86_400_000).toBeGreaterThanOrEqual(before);
    expect(other + 86_400_000).toBeLessThanOrEqual(monotonicMs() + 1);
  });

  it('does not follow the wall clock', () => {
    const before = monotonicMs();
    jest.spyOn(Date, 'now').mockReturnValue(0);
    expect(monotonicMs() - before).toBeLessThan(1000);
    jest.restoreAllMocks();
  });

  it('is in whole milliseconds, and 0 is long ago', () => {
    expect(Number.isInteger(monotonicMs())).toBe(true);
    expect(monotonicMs()).toBeGreaterThan(86_400_000);
  });
});

describe('the offset of a server', () => {
  it.each([
    ['that answers at once, and agrees, stays', 500, { askedAtMs: 1000, answeredAtMs: 1000, serverMs: 1500 }, 500],
    ['that answers late, and may agree, stays', 500, { askedAtMs: 1000, answeredAtMs: 3000, serverMs: 1510 }, 500],
    ['that has read its clock late, and may agree, stays', 500, { askedAtMs: 1000, answeredAtMs: 3000, serverMs: 3500 }, 500],
    ['that cannot agree is what its answer allows', 500, { askedAtMs: 1000, answeredAtMs: 1010, serverMs: 3_601_505 }, 3_600_500],
    ['that cannot agree is what its answer allows, behind', 500, { askedAtMs: 1000, answeredAtMs: 1010, serverMs: -3_598_495 }, -3_599_500],
    ['within what rounding hides stays', 500, { askedAtMs: 1000, answeredAtMs: 1000, serverMs: 1502 }, 500],
  ])('%s', (_, believed, sample, offset) => {
    expect(serverOffset(believed, sample)).toBe(offset);
  });

  it('is found within half of the time that an answer takes, however slow the machine is', () => {
    const ms = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(fc.integer(), fc.integer(), ms, ms, ms, (believed, truth, askedAtMs, thereMs, backMs) => {
        const answeredAtMs = askedAtMs + thereMs + backMs;
        const found = serverOffset(believed, { askedAtMs, answeredAtMs, serverMs: askedAtMs + thereMs + truth });
        expect(Math.abs(found - truth)).toBeLessThanOrEqual(thereMs + backMs + 3);
        // Who was right stays so.
        expect(serverOffset(truth, { askedAtMs, answeredAtMs, serverMs: askedAtMs + thereMs + truth })).toBe(truth);
      }),
    );
  });
});

describe('a skew', () => {
  it.each([
    [{ aheadMs: 1000, errorMs: 0 }, false],
    [{ aheadMs: 1001, errorMs: 0 }, true],
    [{ aheadMs: -1001, errorMs: 0 }, true],
    [{ aheadMs: 3000, errorMs: 2500 }, false],
    [{ aheadMs: -3_600_000, errorMs: 2500 }, true],
  ])('%j is one: %s', (skew, skewed) => {
    expect(isSkewed(skew)).toBe(skewed);
    expect(skewProblem(skew) !== undefined).toBe(skewed);
  });

  it('says which clock is wrong which way, and what to do', () => {
    expect(skewProblem({ aheadMs: 2500, errorMs: 1 })).toMatch(/this machine is 2\.5 s behind the server's: keep it with NTP/);
    expect(skewProblem({ aheadMs: -2500, errorMs: 1 })).toMatch(/this machine is 2\.5 s ahead of the server's/);
  });
});
