import type { NatsConnection } from 'nats';
import { Answers } from './answers.js';

interface Written {
  readonly nc: NatsConnection;
  readonly direct: string[];
  readonly published: string[];
}

function connection({ direct = true, closed = false } = {}): Written {
  const written = { direct: [] as string[], published: [] as string[] };
  const nc = {
    isClosed: () => closed,
    publish: (subject: string, data: string | Uint8Array) => written.published.push(`${subject} ${Buffer.from(data as string).toString()}`),
    ...(direct ? { protocol: { sendCommand: (command: string) => written.direct.push(command) } } : {}),
  };
  return { nc: nc as unknown as NatsConnection, ...written };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('acknowledgements', () => {
  it('of one turn of the event loop are one text', async () => {
    const { nc, direct } = connection();
    const answers = new Answers(nc);
    answers.ack('a');
    void Promise.resolve().then(() => answers.ack('b'));
    expect(direct).toEqual([]);
    await turn();
    expect(direct.join('')).toBe('PUB a 4\r\n+ACK\r\nPUB b 4\r\n+ACK\r\n');
    answers.ack('c');
    await turn();
    expect(direct.at(-1)).toBe('PUB c 4\r\n+ACK\r\n');
  });

  it('do not wait where they are many', () => {
    const { nc, direct } = connection();
    const answers = new Answers(nc);
    for (let i = 0; i < 2000; i++) answers.ack('$JS.ACK.S.C.1.1.1.1.0');
    expect(direct.length).toBeGreaterThan(0);
    answers.flush();
    expect(direct.join('').split('+ACK')).toHaveLength(2001);
  });

  it('are published where the client library has no such writer', () => {
    const { nc, published } = connection({ direct: false });
    new Answers(nc).ack('a');
    expect(published).toEqual(['a +ACK']);
  });

  it('are not written on a closed connection', async () => {
    const { nc, direct, published } = connection({ closed: true });
    const answers = new Answers(nc);
    answers.ack('a');
    answers.send('b', '-NAK');
    await turn();
    expect([...direct, ...published]).toEqual([]);
  });
});
