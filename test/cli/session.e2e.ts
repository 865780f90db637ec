import { until } from '../until.js';
import { CliRig } from './rig.js';
import { record, recorded, squeezed, write, type Step } from './session.js';

/** `LOOPSTACK_RECORD=1 npm test -- test/cli/session` writes the sessions into the documents. */
const WRITE = process.env['LOOPSTACK_RECORD'] === '1';

const FIRST_RUN: readonly Step[] = [
  { typed: 'loopstack run Orders.ProcessOrder --user u1 --arg orderId=o-1 --wait' },
  { typed: 'loopstack run Orders.ProcesOrder --user u1 --arg orderId=o-1' },
  { typed: 'loopstack run Orders.ProcessOrder --user u1 --arg orderId=o-1 --arg priority:=12' },
];

/** Two runs have failed by then. */
const REPLAY: readonly Step[] = [
  { typed: 'loopstack runs list --status failed' },
  {
    typed: `loopstack replay start Orders.ProcessOrder --outcome failed --patch '[{"op":"remove","path":"/payload/act"}]' --id mended --note 'the bug of Monday'`,
    answers: ['y'],
  },
];

const AFTERWARDS: readonly Step[] = [
  { typed: 'loopstack replay list' },
  { typed: 'loopstack run Orders.ProcessOrder --user u1 --arg orderId=o-4 --delay 2h' },
  { typed: 'loopstack run Orders.ProcessOrder --user u1 --arg orderId=o-5 --delay 2h' },
  { typed: 'loopstack runs cancel --workspace Orders --status queued', answers: ['y'] },
  { typed: 'loopstack dead list' },
  { typed: 'loopstack dead discard --all', answers: ['y'] },
  { typed: 'loopstack workflows pause Orders.ProcessOrder --for 1h' },
  { typed: 'loopstack workflows' },
  { typed: 'loopstack workflows resume Orders.ProcessOrder' },
  { typed: 'loopstack doctor' },
];

const rig = CliRig.use('each');
beforeEach(async () => {
  await rig.worker();
});

async function failTwice(): Promise<void> {
  for (const orderId of ['o-2', 'o-3']) {
    await rig.loopstack('run', 'Orders.ProcessOrder', '-u', 'u1', '-a', `orderId=${orderId}`, '-a', 'act=fail', '-w');
  }
}

/** What the replay has published is done: the documents show a deployment at rest. */
async function atRest(): Promise<void> {
  await until('all runs have ended', async () => {
    const runs = await rig.json<{ status: string }[]>(['runs', 'list', '-n', '100']);
    return runs.every(({ status }) => status === 'succeeded' || status === 'failed');
  });
}

function expectRecorded(file: string, name: string, session: string): void {
  if (WRITE) write(file, name, session);
  expect(squeezed(session)).toBe(squeezed(recorded(file, name)));
}

it('the session in docs/cli.md is what the command line shows', async () => {
  const first = await record(rig.server.url, FIRST_RUN);
  await failTwice();
  const replay = await record(rig.server.url, REPLAY);
  await atRest();
  expectRecorded('docs/cli.md', 'tour', [first, replay, await record(rig.server.url, AFTERWARDS)].join('\n\n'));
});
