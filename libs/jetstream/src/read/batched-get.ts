import { JetStreamApiError } from '../api/api-error.js';
import { inboxOf } from '../connection/connection.js';
import type { NatsConnectionLike } from '../connection/nats-connection.js';
import { directMessage, statusOf, type StoredMessage } from './stored-message.js';

/** Messages in one answer. */
export interface Page {
  readonly messages: readonly StoredMessage[];
  /** The stream has more of them. */
  readonly more: boolean;
}

/** Bytes of messages in one answer. */
export const PAGE_BYTES = 1024 * 1024;

/**
 * Several messages in answer to one request (NATS ADR-31, nats-server 2.11); a message without data and with a status ends them.
 * @param path of the request, without the prefix of the API
 * @param timeoutMs the longest wait for each next message
 * @throws JetStreamApiError
 */
export function batchedGet(nc: NatsConnectionLike, prefix: string, path: string, query: object, timeoutMs: number): Promise<Page> {
  return new Promise((resolve, reject) => {
    const messages: StoredMessage[] = [];
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      if (!nc.isClosed()) subscription.unsubscribe();
      settle();
    };
    const fail = (error: JetStreamApiError): void => finish(() => reject(error));
    const inbox = inboxOf(nc);
    const subscription = nc.subscribe(inbox, {
      callback: (denied, answer) => {
        if (denied) return fail(new JetStreamApiError(0, `${path}: ${denied.message}`, { cause: denied }));
        try {
          if (statusOf(answer, path) === 0) {
            messages.push(directMessage(answer));
            timer.refresh();
          } else {
            finish(() => resolve({ messages, more: Number(answer.headers?.get('Nats-Num-Pending')) > 0 }));
          }
        } catch (error) {
          fail(error as JetStreamApiError);
        }
      },
    });
    const timer = setTimeout(() => fail(new JetStreamApiError(0, `${path}: no answer within ${timeoutMs} ms`)), timeoutMs);
    nc.publish(`${prefix}.${path}`, Buffer.from(JSON.stringify(query)), { reply: inbox });
  });
}
