import { localMs } from '@loopstack/shared';
import { VirtualClock } from './virtual-clock.js';

describe('the virtual clock', () => {
  it('stands still while it is held, and goes on from where it was moved', () => {
    const clock = new VirtualClock();
    clock.hold();
    const heldMs = clock.nowMs();
    const done: string[] = [];
    clock.at(heldMs + 2000, () => done.push('second'));
    clock.at(heldMs + 1000, () => done.push('first'));
    clock.at(heldMs + 2000, () => done.push('third'));
    clock.at(heldMs + 1500, () => done.push('canceled')).cancel();
    clock.moveTo(heldMs + 1999);
    expect([done, clock.nextMs, clock.nowMs()]).toEqual([['first'], heldMs + 2000, heldMs + 1999]);
    clock.moveTo(heldMs + 5000);
    expect([done, clock.nextMs]).toEqual([['first', 'second', 'third'], undefined]);
    clock.moveTo(heldMs);
    expect(clock.nowMs()).toBe(heldMs + 5000);
    clock.release();
    expect(clock.nowMs() - localMs()).toBeGreaterThanOrEqual(4000);
  });

  it('plans nothing once it is stopped', () => {
    const clock = new VirtualClock();
    clock.after(1, () => expect(true).toBe(false));
    clock.stop();
    clock.after(1, () => expect(true).toBe(false));
    clock.hold();
    clock.moveTo(clock.nowMs() + 10);
    expect(clock.nextMs).toBeUndefined();
  });
});
