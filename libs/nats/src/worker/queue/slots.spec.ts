import { Slots } from './slots.js';

/** A turn that is taken when `begin` is called. */
function waitsForTurn(slots: Slots) {
  let begin = (): void => undefined;
  let done = false;
  const turn = new Promise<void>((resolve) => (begin = resolve));
  const has = slots.without(() => turn).then(() => (done = true));
  return { begin, has, isDone: () => done };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('slots of a workflow', () => {
  it('are free until all are taken', () => {
    const slots = new Slots(2, () => undefined);
    slots.take();
    expect(slots.isFree).toBe(true);
    slots.take();
    expect(slots.isFree).toBe(false);
    slots.release();
    expect(slots.isFree).toBe(true);
  });

  it('are lent by a run that waits for its turn', () => {
    let freed = 0;
    const slots = new Slots(1, () => freed++);
    slots.take();
    void waitsForTurn(slots).has;
    expect([slots.active, freed]).toEqual([0, 1]);
  });

  it('are taken again when the turn comes', async () => {
    const slots = new Slots(1, () => undefined);
    slots.take();
    const run = waitsForTurn(slots);
    run.begin();
    await run.has;
    expect(slots.active).toBe(1);
  });

  it('are granted to the run that waits for one', async () => {
    const slots = new Slots(1, () => slots.take());
    slots.take();
    const run = waitsForTurn(slots);
    run.begin();
    await settled();
    expect([run.isDone(), slots.active]).toEqual([false, 1]);
    slots.release();
    expect(slots.grant()).toBe(true);
    await run.has;
    expect(slots.active).toBe(1);
    expect(slots.grant()).toBe(false);
  });

  it('let all that wait go on when the worker stops', async () => {
    const slots = new Slots(1, () => slots.take());
    slots.take();
    const run = waitsForTurn(slots);
    run.begin();
    await settled();
    slots.stop();
    await run.has;
    expect([slots.stopped, slots.active]).toEqual([true, 2]);
  });
});
