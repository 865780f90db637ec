import { connect, createInbox, type Msg, type NatsConnection } from 'nats';
import { inWindow, type Contender, type Producer } from '../contender.js';
import type { Size } from '../order.js';
import { bare, body, SUBJECT } from './bare.js';

/** Messages after which the server acknowledges a fast-ingest batch (NATS ADR-50), and acknowledgements that may be outstanding. */
const FLOW = 250;
const AHEAD = 3;
const START = 0;
const APPEND = 1;
const COMMIT = 2;

/**
 * The most that the server takes from one hand-written producer: an acknowledgement inbox of its own, fast-ingest batches, no
 * header, no message id, nothing written again where an answer is lost.
 */
class CeilingProducer implements Producer {
  readonly #inbox = `${createInbox()}.`;
  readonly #waiting = new Map<string, () => void>();

  constructor(private readonly nc: NatsConnection) {
    nc.subscribe(`${this.#inbox}*`, {
      callback: (_, msg) => {
        stored(msg);
        this.#waiting.get(msg.subject)?.();
        this.#waiting.delete(msg.subject);
      },
    });
  }

  publish(from: number, count: number, size: Size, inFlight: number): Promise<void> {
    return inWindow(from, count, inFlight, (place) => {
      const reply = this.#inbox + place;
      return new Promise<void>((resolve) => {
        this.#waiting.set(reply, resolve);
        this.nc.publish(SUBJECT, body(place, size), { reply });
      });
    });
  }

  batch(from: number, count: number, size: Size): Promise<void> {
    const inbox = createInbox();
    return new Promise((resolve, reject) => {
      let written = 0;
      const write = (acknowledged: number): void => {
        for (; written < count && written < acknowledged + FLOW * AHEAD; written++) {
          const operation = written === 0 ? START : written === count - 1 ? COMMIT : APPEND;
          this.nc.publish(SUBJECT, body(from + written, size), { reply: `${inbox}.${FLOW}.fail.${written + 1}.${operation}.$FI` });
        }
      };
      const subscription = this.nc.subscribe(`${inbox}.>`, {
        callback: (_, msg) => {
          const { seq, count: all, error } = msg.json<{ readonly seq?: number; readonly count?: number; readonly error?: unknown }>();
          if (seq !== undefined && all === undefined) return write(seq);
          subscription.unsubscribe();
          if (error === undefined && all === count) resolve();
          else reject(new Error(`the batch ended after ${all} of ${count}`));
        },
      });
      write(0);
    });
  }

  close(): Promise<void> {
    return this.nc.close();
  }
}

function stored(msg: Msg): void {
  const answer = msg.json<{ readonly error?: { readonly description?: string } }>();
  if (answer.error) throw new Error(answer.error.description);
}

export const ceiling: Contender = {
  ...bare,
  name: 'bare nats, written by hand',
  async producer({ nats }) {
    return new CeilingProducer(await connect({ servers: nats }));
  },
};
