import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** `up`: from the client to the server. */
export type Direction = 'up' | 'down';

/**
 * pass: bytes go through, after `delayMs`; pause: bytes are held, in order, until the mode changes; drop: bytes are
 * swallowed, as by a firewall that forgot the connection. After `drop` a connection is good for nothing: `cut()` it.
 */
export type Mode = 'pass' | 'pause' | 'drop';

class Flow {
  mode: Mode = 'pass';
  delayMs = 0;
  swallowed = 0;
}

/** A TCP proxy on the loopback address in front of a port, to be broken in the ways in which networks break. */
export class Proxy {
  readonly #flows: Readonly<Record<Direction, Flow>> = { up: new Flow(), down: new Flow() };
  readonly #pairs = new Set<Pair>();
  readonly #listener: Server;
  readonly #target: { readonly host: string; readonly port: number };
  #refusing = false;

  private constructor(
    target: string,
    private readonly rewrite: (chunk: Buffer) => Buffer,
  ) {
    const { hostname, port } = new URL(target);
    this.#target = { host: hostname, port: Number(port) };
    this.#listener = createServer((socket) => this.#accept(socket));
  }

  /**
   * @param target such as `nats://127.0.0.1:4222`
   * @param rewrite of what the server sends
   */
  static async start(target: string, rewrite = (chunk: Buffer): Buffer => chunk): Promise<Proxy> {
    const proxy = new Proxy(target, rewrite);
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as { port: number }).port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Bytes that were dropped so far. */
  swallowed(direction: Direction): number {
    return this.#flows[direction].swallowed;
  }

  set(direction: Direction, mode: Mode): void {
    this.#flows[direction].mode = mode;
    for (const pair of this.#pairs) pair.changed();
  }

  delay(direction: Direction, ms: number): void {
    this.#flows[direction].delayMs = ms;
  }

  /** Swallows all that is said on the connections that are there, as a firewall does that has forgotten them. New ones pass. */
  forget(): void {
    for (const pair of this.#pairs) pair.forget();
  }

  /** Ends all connections with a reset. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Ends all connections, and each new one at once, until `heal()`. */
  isolate(): void {
    this.#refusing = true;
    this.cut();
  }

  heal(): void {
    this.#refusing = false;
    this.set('up', 'pass');
    this.set('down', 'pass');
  }

  async stop(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target);
    server.on('error', () => undefined);
    const up = new Pipe(client, server, this.#flows.up, (chunk) => chunk);
    const down = new Pipe(server, client, this.#flows.down, this.rewrite);
    const pair: Pair = {
      client,
      server,
      changed: () => {
        up.flush();
        down.flush();
      },
      forget: () => {
        up.forgotten = true;
        down.forgotten = true;
      },
    };
    this.#pairs.add(pair);
    const closed = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on('close', closed);
    server.on('close', closed);
  }
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly changed: () => void;
  readonly forget: () => void;
}

/** One direction of one connection. */
class Pipe {
  forgotten = false;
  readonly #held: Buffer[] = [];

  constructor(
    from: Socket,
    private readonly to: Socket,
    private readonly flow: Flow,
    rewrite: (chunk: Buffer) => Buffer,
  ) {
    from.setNoDelay(true);
    from.on('data', (chunk: Buffer) => this.#received(rewrite(chunk)));
    from.on('end', () => to.end());
  }

  flush(): void {
    if (this.flow.mode === 'pause') return;
    const held = this.#held.splice(0);
    if (this.flow.mode === 'pass') for (const chunk of held) this.to.write(chunk);
  }

  #received(chunk: Buffer): void {
    if (this.forgotten || this.flow.mode === 'drop') this.flow.swallowed += chunk.length;
    else if (this.flow.mode === 'pause') this.#held.push(chunk);
    else if (this.flow.delayMs === 0) this.to.write(chunk);
    else setTimeout(() => this.to.writable && this.to.write(chunk), this.flow.delayMs);
  }
}
