import { Workflow, Workspace } from '@loopstack/core';
import { jest } from '@jest/globals';
import { Rig, STREAMS, held, until } from '../rig/rig.js';

@Workflow({ name: 'Job', lease: '30s' })
class EditedJob {
  run(): void {}
}

@Workspace({ name: 'Rig', workflows: [EditedJob] })
class EditedWorkspace {}

/** As much later as it looks at its durables. */
const MINUTE_MS = 60_000;

describe('edited durables', () => {
  it('an edited durable is repaired within a minute', async () => {
    const rig = await Rig.start();
    // Only what is done now and then: it is not waited for.
    jest.useFakeTimers({
      doNotFake: [
        'Date',
        'hrtime',
        'nextTick',
        'performance',
        'queueMicrotask',
        'setImmediate',
        'clearImmediate',
        'setTimeout',
        'clearTimeout',
      ],
    });
    await rig.startApp([EditedJob, EditedWorkspace]);
    try {
      await rig.run();
      await rig.settled();
      await rig.jsm.consumers.update(STREAMS.runs, 'Rig~Job', { ack_wait: 1e9, max_ack_pending: 1 });
      jest.advanceTimersByTime(MINUTE_MS);
      const isRight = async (): Promise<boolean> => {
        const { ack_wait: lease, max_ack_pending: places } = (await rig.consumer()).config;
        return lease === 30e9 && places === -1;
      };
      expect(await until('it is as it was', isRight)).toBe(true);
      held('durable edited by hand', { 'put right': 1 });
    } finally {
      jest.useRealTimers();
      await rig.end();
    }
  });
});
