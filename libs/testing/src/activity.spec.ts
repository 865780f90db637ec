import { Activity } from './activity.js';

describe('what is under way', () => {
  it('is waited for until it ends', async () => {
    const activity = new Activity();
    const end = activity.begin('a run');
    const ended = activity.ended(5000);
    const another = activity.begin('another run');
    end();
    end();
    expect(activity.titles).toEqual(['another run']);
    another();
    expect(await ended).toBe(true);
    expect(await activity.ended(0)).toBe(true);
  });

  it('is not waited for again once it has done nothing for a while', async () => {
    const activity = new Activity();
    activity.begin('stuck');
    await activity.quiet(1);
    const end = activity.begin('a run');
    setImmediate(end);
    await activity.quiet(5000);
    expect(activity.titles).toEqual(['stuck']);
    expect(await activity.ended(1)).toBe(false);
  });
});
