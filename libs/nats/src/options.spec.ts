import { resolveNatsOptions, type NatsOptions } from './options.js';

describe('the options of the NATS module', () => {
  it('have defaults, in one unit', () => {
    expect(resolveNatsOptions()).toMatchObject({
      provision: true,
      storage: 'file',
      replicas: undefined,
      publishTimeoutMs: 5000,
      maxInFlight: 4096,
      whileDisconnected: 'wait',
      shutdownGraceMs: 25_000,
      heartbeatMs: 1000,
      stalledAfterMs: 120_000,
      runs: { maxBytes: undefined, keepExecutedMs: 7 * 86_400_000 },
    });
  });

  it('are times that a timer can wait for: a longer one would fire at once', () => {
    const longest = { shutdownGraceMs: 2 ** 31 - 1, publishTimeoutMs: 2 ** 31 - 1 };
    expect(resolveNatsOptions({ shutdownGrace: '30d', publishTimeout: '30d' })).toMatchObject(longest);
  });

  it('take a list of servers in either form, and never give up a connection', () => {
    expect(resolveNatsOptions({ servers: 'nats://a,nats://b' }).connect).toMatchObject({
      servers: ['nats://a', 'nats://b'],
      maxReconnectAttempts: -1,
    });
    expect(resolveNatsOptions({ servers: ['nats://a'], connect: { maxReconnectAttempts: 3 } }).connect).toMatchObject({
      servers: ['nats://a'],
      maxReconnectAttempts: -1,
    });
  });

  it('notice a dead connection within half a minute, unless told otherwise', () => {
    expect(resolveNatsOptions().connect).toMatchObject({ pingInterval: 10_000, timeout: 5000 });
    expect(resolveNatsOptions({ connect: { pingInterval: 60_000 } }).connect).toMatchObject({ pingInterval: 60_000 });
  });

  it.each([
    ['publishTimeout', { publishTimeout: '5 seconds' as never }],
    ['runs.maxBytes', { runs: { maxBytes: '1GB' as never } }],
    ['runs.maxMessages', { runs: { maxMessages: 0 } }],
    ['replicas', { replicas: 1.5 }],
    ['maxInFlight', { maxInFlight: 0 }],
    ['maxBlocked', { maxBlocked: '900ms' }],
    ['events.maxAge', { events: { maxAge: -1 } }],
  ] satisfies readonly (readonly [string, NatsOptions])[])('name %s when it is refused', (option, given) => {
    expect(() => resolveNatsOptions(given)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining(option) }),
    );
  });
});
