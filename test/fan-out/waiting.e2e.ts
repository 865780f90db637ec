import { OnEvent, Workflow, Workspace } from '@loopstack/core';
import { Rig, until, type Service } from './rig.js';
import { unsettled } from '../unsettled.js';

const ran: number[] = [];

@OnEvent('numbers', { userId: 'u' })
@Workflow()
class Count {
  run({ n }: { n: number }): void {
    ran.push(n);
  }
}
@OnEvent('loopstack.dead.*.*', { userId: 'u', format: 'bytes', map: () => ({}) })
@Workflow({ retry: { attempts: 1 } })
class Lament {
  run(): void {
    throw new Error('and again');
  }
}
@Workspace({ workflows: [Count] })
class Numbers {}
@Workspace({ workflows: [Lament] })
class Graves {}

describe('events while the runs stream is full', () => {
  const rig = Rig.use('all');
  let service: Service;
  beforeAll(async () => {
    await rig.stream('NUMBERS', 'numbers');
    service = await rig.service({ providers: [Numbers, Count], nats: { runs: { maxMessages: 3 } } });
  });

  it('wait, with an alarm, and start their runs when there is room', async () => {
    for (const n of [1, 2, 3, 4, 5]) await rig.emit('numbers', { n });
    const problems = await until('the alarm', async () => (await service.health())['loopstack']?.['problems'] as string[] | undefined);
    expect(problems).toEqual([expect.stringMatching(/Numbers\.Count on numbers: events wait: Stream LOOPSTACK_RUNS is full/)]);
    await until('three', () => ran.length === 3);
    await rig.jsm.streams.update('LOOPSTACK_RUNS', { max_msgs: 100 });
    await until('all', () => ran.length === 5);
    expect(new Set(ran)).toEqual(new Set([1, 2, 3, 4, 5]));
    await until('the alarm is over', async () => (await service.health())['loopstack']?.status === 'up');
    expect(await service.deadLetters.list()).toEqual([]);
  });
});

describe('a workflow that buries what it is started by', () => {
  const rig = Rig.use('all');

  it('comes to an end, with an alarm', async () => {
    const service = await rig.service({ providers: [Graves, Lament], loopstack: { maxCauseDepth: 4 } });
    await rig.nc.jetstream().publish('loopstack.run.Graves.Lament', '{"userId":"u"}');
    const problems = await until('the alarm', async () => (await service.health())['loopstack']?.['problems'] as string[] | undefined);
    expect(problems).toEqual([expect.stringContaining('The chain of causes of this run is 5 long; the limit is 4')]);
    await until('nothing is left to do', async () => {
      return (await unsettled(rig.jsm, 'LOOPSTACK_DEAD', 'loopstack~on~Graves~Lament~loopstack,dead,+,+')) === 0;
    });
    expect((await service.deadLetters.list()).map(({ code }) => code)).toEqual(Array(5).fill('HANDLER_FAILED'));
  });
});
