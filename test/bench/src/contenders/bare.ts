import { Publisher } from '@loopstack/jetstream';
import { connect, type JetStreamClient, type JsMsg, type NatsConnection } from 'nats';
import { inWindow, type Consumer, type Consumption, type Contender, type Producer, type Servers } from '../contender.js';
import { order, USER, type Order, type Size } from '../order.js';
import type { Tally } from '../tally.js';

const STREAM = 'BENCH_BARE';
export const SUBJECT = 'bench.bare';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const body = (place: number, size: Size, stamped = false): Uint8Array =>
  encoder.encode(JSON.stringify({ payload: order(place, size, stamped ? performance.timeOrigin + performance.now() : 0), userId: USER }));

class BareProducer implements Producer {
  readonly #js: JetStreamClient;

  constructor(private readonly nc: NatsConnection) {
    this.#js = nc.jetstream();
  }

  publish(from: number, count: number, size: Size, inFlight: number, stamped?: boolean): Promise<void> {
    return inWindow(from, count, inFlight, (place) => this.#js.publish(SUBJECT, body(place, size, stamped)));
  }

  /** What fills the stream for consumers: not measured, the bare client has no batches. */
  async batch(from: number, count: number, size: Size): Promise<void> {
    const publisher = new Publisher(this.nc);
    await inWindow(from, count, 2048, (place) => publisher.publish(SUBJECT, body(place, size)));
    await publisher.close();
  }

  close(): Promise<void> {
    return this.nc.close();
  }
}

class BareConsumer implements Consumer {
  constructor(private readonly nc: NatsConnection) {}

  async settled(): Promise<void> {
    const jsm = await this.nc.jetstreamManager();
    for (;;) {
      const { num_ack_pending, num_pending } = await jsm.consumers.info(STREAM, 'bare');
      if (num_ack_pending + num_pending === 0) return;
    }
  }

  close(): Promise<void> {
    return this.nc.close();
  }
}

/** The ceiling: hand-written loops on the `nats` client, no framework, no validation. */
export const bare: Contender = {
  name: 'bare nats',
  async producer({ nats }) {
    return new BareProducer(await connect({ servers: nats }));
  },
  async consumer({ nats }: Servers, { concurrency }: Consumption, tally: Tally) {
    const nc = await connect({ servers: nats });
    const consumer = await nc.jetstream().consumers.get(STREAM, 'bare');
    await consumer.consume({
      max_messages: Math.max(concurrency, 256),
      callback: (msg: JsMsg) => {
        tally.one((JSON.parse(decoder.decode(msg.data)) as { payload: Order }).payload);
        msg.ack();
      },
    });
    return new BareConsumer(nc);
  },
  async reset({ nats }) {
    const nc = await connect({ servers: nats });
    const jsm = await nc.jetstreamManager();
    await jsm.streams.delete(STREAM).catch(() => undefined);
    await jsm.streams.add({ name: STREAM, subjects: [SUBJECT], allow_batched: true } as object);
    await jsm.consumers.add(STREAM, {
      durable_name: 'bare',
      ack_policy: 'explicit' as never,
      max_ack_pending: -1,
      filter_subject: SUBJECT,
    });
    await nc.close();
  },
  async queued({ nats }) {
    const nc = await connect({ servers: nats });
    const { num_ack_pending, num_pending } = await (await nc.jetstreamManager()).consumers.info(STREAM, 'bare');
    await nc.close();
    return num_ack_pending + num_pending;
  },
};
