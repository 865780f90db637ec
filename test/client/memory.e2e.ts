import { LoopstackClient } from '@loopstack/client';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Rig } from './rig.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Bytes of the heap that are in use. */
async function held(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

describe('a connection that lives long', () => {
  let rig: Rig;
  afterAll(() => rig?.end());

  it('keeps nothing of what was started in bulk, or of clients that were closed', async () => {
    rig = await Rig.start();
    const nc = await rig.connect();
    const client = rig.closeAtEnd(new LoopstackClient(nc));
    const many = async (calls: number): Promise<void> => {
      for (let i = 0; i < calls; i++) await client.runMany([{ workflow: 'W', workspace: 'Ws', userId: 'u1' }]);
    };
    const clients = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await new LoopstackClient(nc).close();
    };
    for (const [what, use] of Object.entries({ many, clients })) {
      await use(200);
      const before = await held();
      await use(1000);
      // Each call kept 3.8 KB.
      const each = ((await held()) - before) / 1000;
      if (each > 1000) throw new Error(`${what}: ${Math.round(each)} bytes a call`);
    }
  });
});
