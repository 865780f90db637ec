import { Publisher } from '@loopstack/jetstream';
import { Replays, type ReplaysOptions } from '@loopstack/operations';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import {
  HEADER,
  decodeRunCommand,
  deadLetterHeaders,
  encodeRunCommand,
  encodeRunEvent,
  wireNames,
  type DeadReason,
  type Headers,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared/contract';
import { connect, type NatsConnection } from 'nats';
import { provisionStreams } from '../client/streams.js';
import { readStream } from '../rig/measure.js';

export const names = wireNames();
export const ADDRESS: RunAddress = { workspace: 'Orders', workflow: 'ProcessOrder' };

/** A command of the runs stream, read back. */
export interface StoredCommand {
  readonly subject: string;
  readonly sequence: number;
  readonly payload: unknown;
  readonly userId: string;
  readonly runId: string | undefined;
  readonly replayId: string | undefined;
  readonly replayOf: string | undefined;
  header(name: string): string | undefined;
}

/** A server with the streams, and what a producer, a worker and an operator do with them. */
export class ReplayRig {
  readonly #replays: Replays[] = [];
  readonly #publisher: Publisher;

  private constructor(
    readonly server: NatsServer,
    readonly nc: NatsConnection,
  ) {
    this.#publisher = new Publisher(nc);
  }

  static async start(runs: Record<string, unknown> = {}): Promise<ReplayRig> {
    const server = await startNatsServer();
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    await provisionStreams(nc, { runs });
    const rig = new ReplayRig(server, nc);
    const dead = { name: names.streams.dead, subjects: names.captures.dead, allow_direct: true };
    await rig.api(`STREAM.CREATE.${dead.name}`, dead);
    return rig;
  }

  replays(options?: ReplaysOptions): Replays {
    const replays = new Replays(this.nc, options);
    this.#replays.push(replays);
    return replays;
  }

  /** Stores a command; returns its sequence. Its run id is `run-<number>` unless headers say otherwise. */
  async command(
    number: number,
    payload: unknown = { number },
    options: { address?: RunAddress; userId?: string; headers?: Headers } = {},
  ): Promise<number> {
    const { address = ADDRESS, userId = 'u1', headers = {} } = options;
    const data = encodeRunCommand({ payload, userId });
    const ack = await this.#publisher.publish(names.run(address), data, { [HEADER.RUN_ID]: `run-${number}`, ...headers });
    return ack.sequence;
  }

  async commands(count: number, options?: Parameters<ReplayRig['command']>[2]): Promise<readonly number[]> {
    return Promise.all(Array.from({ length: count }, (_, i) => this.command(i + 1, { number: i + 1 }, options)));
  }

  publish(subject: string, data: string | Uint8Array, headers?: Headers): Promise<{ readonly sequence: number }> {
    return this.#publisher.publish(subject, typeof data === 'string' ? Buffer.from(data) : data, headers);
  }

  /** What a worker records of a run. */
  async event(runId: string, event: Partial<RunEvent> & Pick<RunEvent, 'type'>, address = ADDRESS): Promise<void> {
    await this.publish(names.event(address, runId), encodeRunEvent({ at: new Date().toISOString(), attempt: 1, ...event }));
  }

  async events(runId: string, address = ADDRESS): Promise<readonly RunEvent[]> {
    const stored = await readStream(this.nc, names.streams.events, names.event(address, runId));
    return stored.map(({ data }) => JSON.parse(Buffer.from(data).toString()) as RunEvent);
  }

  /** A dead letter as a worker writes it. */
  async dead(number: number, reason: DeadReason, options: { pointer?: boolean } = {}): Promise<number> {
    const sequence = await this.command(number);
    const [stored] = (await readStream(this.nc, names.streams.runs)).slice(-1);
    const facts = {
      reason,
      code: 'HANDLER_FAILED' as const,
      message: 'no',
      attempts: 3,
      runId: `run-${number}`,
      userId: 'u1',
      stream: names.streams.runs,
      sequence,
      subject: names.run(ADDRESS),
      time: new Date().toISOString(),
    };
    const headers = deadLetterHeaders(facts, [[HEADER.RUN_ID, `run-${number}`]], options.pointer ? 'pointer' : 'full');
    const ack = await this.publish(names.dead(ADDRESS), options.pointer ? '' : (stored?.data as Uint8Array), headers);
    return ack.sequence;
  }

  /** The commands that a replay has published, or all of the runs stream. */
  async stored(replayId?: string): Promise<readonly StoredCommand[]> {
    const stored = await readStream(this.nc, names.streams.runs);
    return stored
      .filter(({ subject }) => names.parseRun(subject) !== undefined)
      .filter(({ header }) => replayId === undefined || header(HEADER.REPLAY_ID) === replayId)
      .map(({ subject, sequence, data, header }) => {
        const { payload, userId } = decodeRunCommand(data);
        const [runId, replay, replayOf] = [HEADER.RUN_ID, HEADER.REPLAY_ID, HEADER.REPLAY_OF].map((name) => header(name));
        return { subject, sequence, payload, userId, runId, replayId: replay, replayOf, header };
      });
  }

  async api<T>(subject: string, body: unknown = {}): Promise<T> {
    const answer = (await this.nc.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 5000 })).json<
      T & { error?: { description: string } }
    >();
    if (answer.error) throw new Error(answer.error.description);
    return answer;
  }

  /** The durable of a workflow, with nobody who takes from it. */
  async durable(address = ADDRESS): Promise<void> {
    const durable = names.durable(address);
    await this.api(`CONSUMER.DURABLE.CREATE.${names.streams.runs}.${durable}`, {
      stream_name: names.streams.runs,
      config: {
        durable_name: durable,
        ack_policy: 'explicit',
        filter_subjects: (['high', 'normal', 'low'] as const).map((priority) => names.run(address, priority)),
      },
    });
  }

  /** Takes commands from the durable of a workflow and acknowledges them. */
  async work(count: number, address = ADDRESS): Promise<void> {
    const consumer = await this.nc.jetstream().consumers.get(names.streams.runs, names.durable(address));
    const batch = await consumer.fetch({ max_messages: count, expires: 1000 });
    for await (const message of batch) await message.ackAck();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#replays.map((replays) => replays.close()));
    await this.#publisher.close();
    await this.nc.close();
    await this.server.stop();
  }
}
