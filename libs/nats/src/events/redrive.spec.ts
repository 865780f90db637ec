import { type EventFeed } from '@loopstack/core';
import { wireNames } from '@loopstack/shared';
import type { Msg, NatsConnection } from 'nats';
import type { JetStreamApi } from '@loopstack/jetstream';
import { serveRedrives } from './redrive.js';

describe('requests to use events again', () => {
  it('are sixteen at once and one for each letter, however many come', async () => {
    let looked = 0;
    const release: (() => void)[] = [];
    const api = {
      get: () => {
        looked++;
        return new Promise<undefined>((resolve) => release.push(() => resolve(undefined)));
      },
    } as unknown as JetStreamApi;
    let ask: (error: null, msg: Msg) => void = () => undefined;
    const nc = {
      isClosed: () => false,
      subscribe: (_: string, options: { callback: typeof ask }) => {
        ask = options.callback;
        return {};
      },
    } as unknown as NatsConnection;
    const feed = { consumer: { durable: 'd' }, handle: () => Promise.reject(new Error('not called')) } as unknown as EventFeed;
    serveRedrives({ nc, api, options: { names: wireNames() } }, feed);
    const answers: string[] = [];
    const request = (body: unknown): void =>
      ask(null, {
        json: () => {
          if (body === undefined) throw new SyntaxError('no JSON');
          return body;
        },
        respond: (data: Uint8Array) => answers.push(Buffer.from(data).toString()),
      } as unknown as Msg);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

    for (let i = 0; i < 10_000; i++) request({ deadSequence: i % 1000 });
    request(undefined);
    await turn();
    expect(looked).toBe(16);
    // Those for the sixteen letters wait for them.
    expect(answers).toHaveLength(10_001 - 16 * 10);
    expect(answers.filter((answer) => !answer.includes('"busy":true'))).toEqual(['{"error":"no JSON"}']);
    for (const open of release) open();
    await turn();
    expect(answers).toHaveLength(10_001);
    request({ deadSequence: 2000 });
    await turn();
    expect(looked).toBe(17);
  });
});
