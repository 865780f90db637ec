import type { Priority } from '@loopstack/shared';
import { PriorityRotation } from './priority-rotation.js';

describe('the rotation of priorities', () => {
  it('gives high six of ten turns, normal three, low one', () => {
    const rotation = new PriorityRotation();
    const taken = Array.from({ length: 20 }, () => rotation.next((priority) => priority));
    const count = (wanted: Priority): number => taken.filter((priority) => priority === wanted).length;
    expect([count('high'), count('normal'), count('low')]).toEqual([12, 6, 2]);
  });

  it('passes over lanes that are empty, and ends where all are', () => {
    const rotation = new PriorityRotation();
    const left: Record<Priority, number> = { high: 0, normal: 1, low: 2 };
    const take = (): Priority | undefined => rotation.next((priority) => (left[priority]-- > 0 ? priority : undefined));
    expect([take(), take(), take(), take()]).toEqual(['normal', 'low', 'low', undefined]);
  });
});
