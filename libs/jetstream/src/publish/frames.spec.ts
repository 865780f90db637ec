import type { NatsConnection } from 'nats';
import { FrameWriter } from './frames.js';

const INFO = { max_payload: 1_000_000, headers: true };

interface Written {
  readonly nc: NatsConnection;
  /** What went to the socket by the library's writer. */
  readonly pieces: string[];
  readonly published: string[];
}

function connection({
  direct = true,
  closed = false,
  info = INFO,
}: { direct?: boolean; closed?: boolean; info?: object | null } = {}): Written {
  const written = { pieces: [] as string[], published: [] as string[] };
  const nc = {
    info: info ?? undefined,
    isClosed: () => closed,
    isDraining: () => false,
    publish: (subject: string, data: Uint8Array, { reply, headers }: { reply: string; headers?: { encode(): Uint8Array } }) =>
      written.published.push(
        `${subject} ${reply} ${headers ? Buffer.from(headers.encode()).toString() : ''}${Buffer.from(data).toString()}`,
      ),
    ...(direct ? { protocol: { sendCommand: (frames: Uint8Array) => written.pieces.push(Buffer.from(frames).toString()) } } : {}),
  };
  return { nc: nc as unknown as NatsConnection, ...written };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const BLOCK = bytes('NATS/1.0\r\nA: b\r\n\r\n');

describe('frames', () => {
  it('of one turn of the event loop are one piece, in the order of the calls', async () => {
    const { nc, pieces } = connection();
    const frames = new FrameWriter(nc);
    frames.write('a', 'r', undefined, bytes('1'));
    void Promise.resolve().then(() => frames.write('b', '', BLOCK, bytes('zwölf')));
    expect(pieces).toEqual([]);
    await turn();
    expect(pieces.join('')).toBe('PUB a r 1\r\n1\r\nHPUB b 18 24\r\nNATS/1.0\r\nA: b\r\n\r\nzwölf\r\n');
    frames.write('ü', '', undefined, bytes(''));
    await turn();
    expect(pieces.at(-1)).toBe('PUB ü 0\r\n\r\n');
  });

  it('do not wait where they are many, and none is lost between two chunks', async () => {
    const { nc, pieces } = connection();
    const frames = new FrameWriter(nc);
    const expected: string[] = [];
    for (let i = 0; i < 2000; i++) {
      const body = 'x'.repeat(i % 300);
      frames.write(`s.${i}`, 'r', undefined, bytes(body));
      expected.push(`PUB s.${i} r ${body.length}\r\n${body}\r\n`);
    }
    expect(pieces.length).toBeGreaterThan(1);
    await turn();
    expect(pieces.join('')).toBe(expected.join(''));
  });

  it.each([
    ['the client library has no such writer', { direct: false }, 10],
    ['the message is a long one', {}, 20_000],
    ['the server says nothing of itself: the connection is down', { info: null }, 10],
    ['the message is longer than the server takes', { info: { max_payload: 5, headers: true } }, 10],
    ['the server has no headers', { info: { max_payload: 1000, headers: false } }, 10],
  ])('are published by the client library where %s', async (_, given, length) => {
    const { nc, pieces, published } = connection(given);
    const frames = new FrameWriter(nc);
    const body = 'x'.repeat(length);
    frames.write('a', 'r', BLOCK, bytes(body));
    frames.write('a', '', undefined, bytes(body));
    await turn();
    expect(pieces).toEqual([]);
    expect(published).toEqual([`a r NATS/1.0\r\nA: b\r\n\r\n${body}`, `a  ${body}`]);
  });

  it('keep their order with one that the client library publishes', async () => {
    const order: string[] = [];
    const { nc } = connection();
    const frames = new FrameWriter({
      ...nc,
      publish: (subject: string) => order.push(subject),
      protocol: { sendCommand: (piece: Uint8Array) => order.push(Buffer.from(piece).toString().split(' ')[1] as string) },
    } as unknown as NatsConnection);
    frames.write('first', '', undefined, bytes('x'));
    frames.write('long', '', undefined, new Uint8Array(20_000));
    frames.write('last', '', undefined, bytes('x'));
    await turn();
    expect(order).toEqual(['first', 'long', 'last']);
  });

  it('are dropped on a connection that was closed meanwhile', async () => {
    const { nc, pieces } = connection({ closed: true });
    new FrameWriter(nc).write('a', '', undefined, bytes('x'));
    await turn();
    expect(pieces).toEqual([]);
  });
});
