// A producer in a process of its own, whose clock a test may set. Its one argument is the options of its connection as JSON.
import { LoopstackClient, commandSigner } from '@loopstack/client';

process.on('warning', (warning) => process.send({ warning: warning.message }));
const { seed, ...connection } = JSON.parse(process.argv[2]);
const client = await LoopstackClient.connect({ ...connection, ...(seed === undefined ? {} : { sign: commandSigner(seed) }) });

const calls = {
  now: () => Date.now(),
  serverNow: () => client.clock.nowMs(),
  run: async (options) => {
    const { at, ...rest } = options;
    return (await client.run('Job', 'Rig', {}, 'u1', at === undefined ? rest : { ...rest, at: new Date(at) })).id;
  },
  runMany: async (count, options) => {
    const items = Array.from({ length: count }, () => ({ workflow: 'Job', workspace: 'Rig', payload: {}, userId: 'u1', options }));
    return (await client.runMany(items)).accepted;
  },
  fanOut: async (count, options) => {
    const items = Array.from({ length: count }, () => ({ workflow: 'Job', workspace: 'Rig', payload: {}, userId: 'u1', options }));
    return (await client.fanOut(items)).map(({ id }) => id);
  },
  get: async (id, address) => (await client.get(id, address ?? undefined)).status,
  cancel: async (id, address) => (await client.cancel(id, address ?? undefined)).status,
};

process.on('message', ({ id, call, args }) => {
  Promise.resolve()
    .then(() => calls[call](...args))
    .then(
      (answer) => process.send({ id, answer }),
      (error) => process.send({ id, failed: `${error.code ?? ''} ${error.message}` }),
    );
});
process.send({ ready: true });
