import { Publisher } from '@loopstack/jetstream';
import { Replays, type ReplaysOptions } from '@loopstack/operations';
import {
  HEADER,
  decodeRunCommand,
  deadLetterHeaders,
  encodeRunCommand,
  type DeadReason,
  type Headers,
  type RunAddress,
  type RunEvent,
} from '@loopstack/shared/contract';
import { ADDRESS, Rig, names, type RigOptions } from '../client/rig.js';
import { readStream } from '../rig/measure.js';

export { ADDRESS, names };

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
export class ReplayRig extends Rig {
  #publisher!: Publisher;

  static override start(options: RigOptions = {}): Promise<ReplayRig> {
    const rig = new ReplayRig();
    return rig.after(rig.begin(options));
  }

  protected override async begin(options: RigOptions): Promise<void> {
    await super.begin(options);
    this.#publisher = this.closeAtEnd(new Publisher(this.nc));
    const dead = { name: names.streams.dead, subjects: names.captures.dead, allow_direct: true };
    await this.api(`STREAM.CREATE.${dead.name}`, dead);
  }

  replays(options?: ReplaysOptions): Replays {
    return this.closeAtEnd(new Replays(this.nc, options));
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
}
