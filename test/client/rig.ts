import { LoopstackClient, type ClientOptions } from '@loopstack/client';
import {
  encodeRunEvent,
  HEADER,
  LoopstackError,
  wireNames,
  type ErrorCode,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared/contract';
import { headers as natsHeaders, type NatsConnection } from 'nats';
import { Harness, using, type Per } from '../rig/harness.js';
import { until } from '../until.js';
import { jsApi, provisionStreams } from './streams.js';

export const ADDRESS: RunAddress = { workspace: 'Orders', workflow: 'ProcessOrder' };
export const names = wireNames();

export interface RigOptions {
  /** Configuration of the server. */
  readonly config?: string;
  /** Fields of the runs stream. */
  readonly runs?: Readonly<Record<string, unknown>>;
}

/** A server with the streams, a connection that reconnects fast, and what tests do with them. */
export class Rig extends Harness {
  nc!: NatsConnection;

  static start(options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig();
    return rig.after(rig.begin(options));
  }

  /** A rig for the tests of the file or of the `describe` that calls this. */
  static use(per: Per, options: RigOptions = {}): Rig {
    const rig = new Rig();
    return using(per, rig, () => rig.begin(options));
  }

  protected async begin({ config, runs = {} }: RigOptions): Promise<void> {
    await this.startServer(config === undefined ? {} : { config });
    this.nc = await this.connect();
    await provisionStreams(this.nc, { runs });
  }

  client(options?: ClientOptions): LoopstackClient {
    return this.closeAtEnd(new LoopstackClient(this.nc, options));
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
    return (await this.api<{ state: { messages: number } }>(`STREAM.INFO.${stream}`)).state.messages;
  }

  api<T>(subject: string, body: object = {}): Promise<T> {
    return jsApi(this.nc, subject, body);
  }

  /** Kills the server, starts it again, and waits until JetStream answers on the connection of this rig. */
  async crash(meanwhile: () => Promise<unknown> = async () => {}): Promise<void> {
    await this.server.kill('SIGKILL');
    await meanwhile();
    await this.server.restart();
    await until('JetStream answers', () => jsApi(this.nc, `STREAM.INFO.${names.streams.events}`, {}, 500));
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
