import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { UsageError } from './exit.js';
import { readSettings } from './settings.js';

let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'loopstack-home-'))));
afterEach(() => rmSync(home, { recursive: true }));

function file(path: string, text: string): string {
  const full = join(home, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
}

const context = (name: string, fields: object): string =>
  file(`.config/nats/context/${name}.json`, JSON.stringify({ description: '', token: '', ...fields }));
const read = (flags: object = {}, env: Record<string, string> = {}): ReturnType<typeof readSettings> => readSettings(flags, env, home);

it('connects to the usual port of this machine by default', () => {
  expect(read().access).toEqual({ servers: ['127.0.0.1:4222'], name: 'loopstack cli' });
});

it('takes a server from a flag before a named context, that before the environment, that before the selected context', () => {
  context('production', { url: 'nats://production:4222' });
  context('staging', { url: 'nats://staging:4222' });
  file('.config/nats/context.txt', 'staging\n');
  expect(read().shown).toBe('staging:4222');
  expect(read({}, { NATS_URL: 'nats://variable' }).shown).toBe('variable');
  expect(read({ context: 'production' }, { NATS_URL: 'nats://variable' }).shown).toBe('production:4222');
  expect(read({}, { NATS_URL: 'nats://variable', NATS_CONTEXT: 'production' }).shown).toBe('production:4222');
  expect(read({ context: 'production', server: 'flag:1' }).shown).toBe('flag:1');
});

it('reads the context files of the nats command, with XDG_CONFIG_HOME, and by path', () => {
  const creds = file('user.creds', 'creds');
  const fields = {
    url: 'tls://one:4222,tls://two:4222',
    creds,
    ca: '/ca.pem',
    cert: '~/cert.pem',
    key: '/key.pem',
    inbox_prefix: '_INBOX_x',
    jetstream_domain: 'hub',
    tls_first: true,
  };
  const path = context('full', fields);
  const expected = {
    access: {
      servers: ['one:4222', 'two:4222'],
      credentials: Buffer.from('creds'),
      inboxPrefix: '_INBOX_x',
      tls: { caFile: '/ca.pem', certFile: join(home, 'cert.pem'), keyFile: '/key.pem', handshakeFirst: true },
    },
    domain: 'hub',
  };
  expect(read({ context: 'full' })).toMatchObject(expected);
  expect(read({ context: path })).toMatchObject(expected);
  expect(read({ context: 'full' }, { XDG_CONFIG_HOME: join(home, '.config') })).toMatchObject(expected);
  expect(() => read({ context: 'full' }, { XDG_CONFIG_HOME: join(home, 'elsewhere') })).toThrow('cannot be read');
});

it('does not send who one is in the selected context to another server', () => {
  context('staging', { url: 'nats://staging', user: 'ada', password: 'secret' });
  file('.config/nats/context.txt', 'staging');
  expect(read().access).toMatchObject({ user: 'ada', password: 'secret' });
  expect(read({ server: 'other' }).access).not.toHaveProperty('user');
  expect(read({}, { NATS_URL: 'other', NATS_USER: 'bob', NATS_PASSWORD: 'x' }).access).toMatchObject({ servers: ['other'], user: 'bob' });
});

it('takes credentials from a URL, from variables and from files', () => {
  expect(read({ server: 'nats://ada:s%40crt@one,nats://two' }).access).toMatchObject({
    servers: ['one', 'two'],
    user: 'ada',
    password: 's@crt',
  });
  expect(read({ server: 'nats://token@one' }).access).toMatchObject({ token: 'token' });
  expect(read({}, { NATS_CREDS: file('a.creds', 'a') }).access).toMatchObject({ credentials: Buffer.from('a') });
  expect(read({ nkey: file('a.nk', 'SUA') }).access).toMatchObject({ nkeySeed: Buffer.from('SUA') });
  expect(read({ tlsCa: '/ca.pem' }).access).toMatchObject({ tls: { caFile: '/ca.pem' } });
  expect(read({ server: 'tls://one' }).access).toMatchObject({ tls: {} });
});

it.each<[string, object, string]>([
  ['a URL of another kind', { server: 'http://one' }, 'server 1 of 1 is no nats:// or tls:// URL'],
  ['a context that is not there', { context: 'none' }, 'the context none cannot be read: ENOENT'],
  ['a credentials file that is not there', { creds: '/none.creds' }, 'ENOENT'],
  ['a prefix with a dot', { prefix: 'a.b' }, 'the prefix'],
])('refuses %s', (_, flags, text) => {
  expect(() => read(flags)).toThrow(UsageError);
  expect(() => read(flags)).toThrow(text);
});

it('refuses what it does not know of a context, and never quotes a password', () => {
  context('nsc', { nsc: 'nsc://operator/account/user' });
  expect(() => read({ context: 'nsc' })).toThrow('uses nsc, which this command does not support');
  expect(() => read({ server: 'nats://ada:secret@' })).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('secret') as string }) as Error,
  );
});
