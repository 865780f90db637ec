import { LoopstackClient, type ClientOptions } from '@loopstack/client';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import {
  encodeRunEvent,
  HEADER,
  LoopstackError,
  wireNames,
  type ErrorCode,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared/contract';
import { connect, headers as natsHeaders, type NatsConnection } from 'nats';
import { provisionStreams } from './streams.js';

export const ADDRESS: RunAddress = { workspace: 'Orders', workflow: 'ProcessOrder' };
export const names = wireNames();

/** A server with the streams, a connection that reconnects fast, and what tests do with them. */
export class Rig {
  readonly #clients: LoopstackClient[] = [];

  private constructor(
    readonly server: NatsServer,
    readonly nc: NatsConnection,
  ) {}

  static async start(options: { config?: string; runs?: Record<string, unknown> } = {}): Promise<Rig> {
    const server = await startNatsServer(options.config === undefined ? {} : { config: options.config });
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    await provisionStreams(nc, options.runs ? { runs: options.runs } : {});
    return new Rig(server, nc);
  }

  client(options?: ClientOptions): LoopstackClient {
    const client = new LoopstackClient(this.nc, options);
    this.#clients.push(client);
    return client;
  }

  /** What a worker does to a run, as far as producers see it. */
  async record(runId: string, event: Partial<RunEvent> & Pick<RunEvent, 'type'>, expected?: number, address = ADDRESS): Promise<number> {
    const headers = natsHeaders();
    if (expected !== undefined) headers.set(HEADER.EXPECTED_LAST_SUBJECT_SEQUENCE, String(expected));
    const data = encodeRunEvent({ at: new Date().toISOString(), attempt: 1, ...event });
    const answer = await this.nc.request(names.event(address, runId), data, { headers, timeout: 5000 });
    const ack = answer.json<{ seq: number; error?: { description: string } }>();
    if (ack.error) throw new Error(ack.error.description);
    return ack.seq;
  }

  async count(stream: string): Promise<number> {
    const answer = await this.nc.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeout: 5000 });
    return answer.json<{ state: { messages: number } }>().state.messages;
  }

  async api<T>(subject: string, body: unknown = {}): Promise<T> {
    return (await this.nc.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 5000 })).json<T>();
  }

  /** Kills the server, starts it again, and waits until JetStream answers on the connection of this rig. */
  async crash(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.server.kill('SIGKILL');
    await meanwhile();
    await this.server.restart();
    await eventually(() =>
      this.nc.request(`$JS.API.STREAM.INFO.${names.streams.events}`, undefined, { timeout: 500 }).then(
        (answer) => (answer.json<{ error?: unknown }>().error ? undefined : true),
        () => undefined,
      ),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.nc.close();
    await this.server.stop();
  }
}

/** The code of what a promise rejects with; fails if it resolves or rejects with anything but an error of ours. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  return (await errorOf(promise)).code;
}

export async function errorOf(promise: Promise<unknown>): Promise<LoopstackError> {
  const outcome = await promise.then(
    () => new Error('it resolved'),
    (error: unknown) => error,
  );
  if (outcome instanceof LoopstackError) return outcome;
  throw outcome;
}

/** Waits until `look` finds something. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined, withinMs = 10_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`nothing after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
