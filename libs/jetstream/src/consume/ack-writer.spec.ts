import type { NatsConnection } from 'nats';
import { AckWriter } from './ack-writer.js';

function connection(closed: boolean): { readonly nc: NatsConnection; readonly written: string[] } {
  const written: string[] = [];
  const nc = {
    info: { max_payload: 1_000_000, headers: true },
    isClosed: () => closed,
    isDraining: () => false,
    publish: (subject: string) => written.push(subject),
    protocol: { sendCommand: (frames: Uint8Array) => written.push(Buffer.from(frames).toString()) },
  };
  return { nc: nc as unknown as NatsConnection, written };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('answers to deliveries', () => {
  it('of one turn of the event loop are one piece, in their order', async () => {
    const { nc, written } = connection(false);
    const answers = new AckWriter(nc);
    answers.ack('a');
    answers.send('b', '-NAK');
    answers.ack('c');
    expect(written).toEqual([]);
    await turn();
    expect(written).toEqual(['PUB a 4\r\n+ACK\r\nPUB b 4\r\n-NAK\r\nPUB c 4\r\n+ACK\r\n']);
  });

  it('are written at once where a worker that stops asks for it', () => {
    const { nc, written } = connection(false);
    const answers = new AckWriter(nc);
    answers.ack('a');
    answers.flush();
    expect(written).toHaveLength(1);
  });

  it('are not written on a closed connection', async () => {
    const { nc, written } = connection(true);
    const answers = new AckWriter(nc);
    answers.ack('a');
    answers.send('b', '-NAK');
    await turn();
    expect(written).toEqual([]);
  });
});
