import { LoopstackError } from '../error.js';
import { parseServers } from './server-address.js';

const address = (fields: object): object => ({
  hosts: ['a:1'],
  user: undefined,
  password: undefined,
  token: undefined,
  tls: false,
  ...fields,
});

describe('the address of servers', () => {
  it.each<[string | readonly string[], object]>([
    ['nats://a:1', {}],
    ['a:1', {}],
    ['nats://u:p@a:1', { user: 'u', password: 'p' }],
    ['nats://u:p%40%2F@a:1', { user: 'u', password: 'p@/' }],
    ['u:p@a:1', { user: 'u', password: 'p' }],
    ['nats://s3cr%3At@a:1', { token: 's3cr:t' }],
    ['tls://a:1', { tls: true }],
    ['nats://u:p@a:1, nats://b', { hosts: ['a:1', 'b'], user: 'u', password: 'p' }],
    [['u:p@a:1', 'u:p@b:2', 'c:3'], { hosts: ['a:1', 'b:2', 'c:3'], user: 'u', password: 'p' }],
    ['nats://[::1]:4222', { hosts: ['[::1]:4222'] }],
  ])('%j is read', (given, expected) => {
    expect(parseServers(given)).toEqual(address(expected));
  });

  it.each<[string | readonly string[], string]>([
    ['http://127.0.0.1:8080', 'server 1 of 1 is no nats:// or tls:// URL'],
    ['nats://a,https://u:hush@b', 'server 2 of 2 is no nats:// or tls:// URL'],
    ['nats://u:hush@', 'server 1 of 1 is no nats:// or tls:// URL'],
    ['', 'server 1 of 1 is no nats:// or tls:// URL'],
    [[], 'there is none'],
    ['nats://a,tls://b', 'nats:// and tls:// are mixed'],
    ['nats://u:hush@a,nats://v:hush@b', 'server 2 has other credentials than the first'],
    ['nats://u:hu%sh@a', 'the credentials are not percent-encoded (% is %25)'],
  ])('%j is refused without a word of it', (given, reason) => {
    const parse = (): unknown => parseServers(given);
    expect(parse).toThrow(LoopstackError);
    expect(parse).toThrow(expect.objectContaining({ code: 'SERVERS_INVALID', details: { reason } }));
    expect(parse).not.toThrow('hush');
  });

  it('needs a scheme where that is asked for', () => {
    expect(() => parseServers('a:1', true)).toThrow('server 1 of 1 is no nats:// or tls:// URL');
  });
});
