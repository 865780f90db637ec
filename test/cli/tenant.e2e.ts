import { Workflow, Workspace } from '@loopstack/core';
import { readFile } from 'node:fs/promises';
import { connect, nkeyAuthenticator, type NatsConnection } from 'nats';
import { until } from '../until.js';
import { CliRig } from './rig.js';

@Workflow({ retry: { attempts: 1 } })
class Ship {
  run({ to }: { to: string }): string {
    if (to === 'nowhere') throw new Error('no such place');
    return `shipped to ${to}`;
  }
}
@Workspace({ workflows: [Ship] })
class Orders {}

const rig = CliRig.use('each');

const add = (name: string, ...args: string[]) => rig.loopstack('tenant', 'add', name, '--dir', 'conf', ...args);

describe('loopstack tenant', () => {
  it('writes the same text for the same tenants, in whatever order and however often', async () => {
    for (const name of ['beta', 'acme']) expect(await add(name, '--workspaces', `W-${name}`)).toMatchObject({ code: 0, stderr: '' });
    const before = await Promise.all(
      ['tenants.conf', 'tenants/index.conf', 'tenants/acme.users.conf'].map((file) => rig.read(`conf/${file}`)),
    );
    expect(await add('acme', '--workspaces', 'W-acme')).toMatchObject({ code: 0, stdout: 'nothing to change\n' });
    expect(before[1]).toMatch(/include "acme\.conf"\ninclude "beta\.conf"\n$/);
    const changed = await add('acme', '--workspaces', 'W-acme,Shop', '--allow', 'lanes');
    expect(changed.stdout).toBe('conf/tenants/acme.conf\n');
    expect((await add('gone', '--workspaces', 'W')).stdout).toMatch(/^gone\.nk$/m);
    await rig.loopstack('tenant', 'remove', 'gone', '--dir', 'conf', '--yes');
    const after = await Promise.all(
      ['tenants.conf', 'tenants/index.conf', 'tenants/acme.users.conf'].map((file) => rig.read(`conf/${file}`)),
    );
    expect(after).toEqual(before);
    expect(await rig.json(['tenant', 'list', '--dir', 'conf'])).toEqual([
      { name: 'acme', workspaces: ['W-acme', 'Shop'], allow: ['lanes'] },
      { name: 'beta', workspaces: ['W-beta'], allow: [] },
    ]);
  });

  it('makes the files that are shipped in config/nats', async () => {
    await add('acme', '--workspaces', 'Orders');
    expect(await rig.loopstack('tenant', 'remove', 'acme', '--dir', 'conf', '--yes')).toMatchObject({ code: 0 });
    for (const file of ['tenants.conf', 'tenants/exports.conf', 'tenants/index.conf'])
      expect(await rig.read(`conf/${file}`)).toBe(await readFile(new URL(`../../config/nats/${file}`, import.meta.url), 'utf8'));
    expect(await rig.json(['tenant', 'list', '--dir', 'conf'])).toEqual([]);
  });

  it('shows what one tenant may do, and nothing that it may not', async () => {
    await add('acme', '--workspaces', 'Orders', '--allow', 'cancel');
    const shown = await rig.loopstack('tenant', 'show', 'acme', '--dir', 'conf');
    expect(shown.stdout).toContain('loopstack.run.Orders.*');
    expect(shown.stdout).toContain('loopstack.cancel.Orders.*.*');
    expect(shown.stdout).not.toContain('lane');
  });

  it('keeps a key and a main file that are there', async () => {
    await rig.file('conf/tenants.conf', 'accounts { W { include "tenants/exports.conf" } }');
    expect(await add('acme', '--workspaces', 'Orders')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('include "tenants/index.conf"'),
    });
    await rig.file('acme.nk', 'mine');
    await rig.file('conf/tenants.conf', 'accounts { W { include "tenants/exports.conf" } include "tenants/index.conf" }');
    expect(await add('acme', '--workspaces', 'Orders')).toMatchObject({ code: 2, stderr: expect.stringContaining('acme.nk') });
    expect(await rig.read('acme.nk')).toBe('mine');
    const nkey = 'UCIDFEO3SCQEKOZJU7UUZSYKIX3RCGM7F4CDGT57UXASHXKPV6ELDPOE';
    expect(await add('acme', '--workspaces', 'Orders', '--account', 'W', '--user', nkey)).toMatchObject({ code: 0 });
    expect(await rig.read('conf/tenants/acme.users.conf')).toContain(nkey);
    expect(await rig.read('conf/tenants/acme.conf')).toContain('account: "W"');
  });

  it.each([
    [['x'.repeat(65), '--workspaces', 'Orders']],
    [['acme', '--workspaces', 'Or.ders']],
    [['acme', '--workspaces', '*']],
    [['acme', '--workspaces', ' , ']],
    [['acme', '--workspaces', 'Orders', '--allow', 'all']],
    [['acme', '--workspaces', 'Orders', '--user', 'UXXX']],
    [['loopstack', '--workspaces', 'Orders']],
    [['index', '--workspaces', 'Orders']],
    [['acme']],
  ])('refuses %j and writes nothing', async (args) => {
    expect(await add(...(args as [string]))).toMatchObject({ code: 2, stderr: expect.stringMatching(/^error: /) });
    expect(await rig.json(['tenant', 'list', '--dir', 'conf'])).toEqual([]);
  });

  it('refuses names that are one file where capitals do not count', async () => {
    await add('acme', '--workspaces', 'Orders');
    expect(await add('ACME', '--workspaces', 'Orders')).toMatchObject({ code: 2 });
  });

  it('prints an account without a folder, and commands for nsc in operator mode', async () => {
    const printed = await rig.loopstack('tenant', 'add', 'acme', '--workspaces', 'Orders');
    expect(printed).toMatchObject({ code: 0, stdout: expect.stringMatching(/users: \[ \{ nkey: U[A-Z2-7]{55} \} \]/) });
    expect(printed.stdout).not.toContain('include');
    expect(await rig.read('acme.nk')).toMatch(/^SU/);
    const { script } = await rig.json<{ script: string }>(['tenant', 'add', 'acme', '--workspaces', 'Orders', '--operator']);
    expect(script).toContain("offer stream 'hear events' 'loopstack.event.>'");
    expect(script).toContain("take 'loopstack.run.Orders.*'");
    expect(script).not.toContain('Orders.*.*.*');
    expect(await rig.loopstack('tenant', 'remove', 'acme', '--operator')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nsc delete account'),
    });
  });

  it('a running server adds and removes tenants', async () => {
    await add('acme', '--workspaces', 'Orders');
    // A name that the command line gives and the file does not would be a change that a reload refuses.
    const main = await rig.file('conf/tenants.conf', `server_name: again\n${await rig.read('conf/tenants.conf')}`);
    const server = await rig.startServer({ name: 'again', configFile: main, env: { WORKER_PASSWORD: 'w' } });
    const { url } = server;
    const entered = async (name: string): Promise<NatsConnection | undefined> => {
      const authenticator = nkeyAuthenticator(new TextEncoder().encode((await rig.read(`${name}.nk`)).trim()));
      return connect({ servers: url, authenticator, reconnect: false }).catch(() => undefined);
    };
    const acme = await entered('acme');
    expect(acme).toBeDefined();
    await add('beta', '--workspaces', 'Payments');
    expect(await entered('beta')).toBeUndefined();
    server.signal('SIGHUP');
    const beta = await until('the new tenant is let in', () => entered('beta'));
    for (const [who, told] of [
      [{ NATS_URL: url, NATS_NKEY: 'acme.nk' }, /a tenant's: it may start runs of Orders/],
      [{ NATS_URL: url, NATS_USER: 'worker', NATS_PASSWORD: 'w' }, /tenants have accounts of their own/],
    ] as const)
      expect((await rig.with({ env: who }, 'doctor', '--monitor', server.monitorUrl)).stdout).toMatch(told);
    await rig.loopstack('tenant', 'remove', 'acme', '--dir', 'conf', '--yes');
    server.signal('SIGHUP');
    await until('the removed tenant is turned away', async () => {
      const again = await entered('acme');
      await again?.close();
      return again === undefined;
    });
    await Promise.all([acme?.close(), beta?.close()]);
  });

  it('a tenant runs, waits, and learns what is closed', async () => {
    await add('acme', '--workspaces', 'Orders');
    const server = await rig.startServer({ configFile: `${rig.home}/conf/tenants.conf`, env: { WORKER_PASSWORD: 'w' } });
    await rig.startApp([Ship, Orders], { connect: { user: 'worker', pass: 'w' } });
    const env = { NATS_URL: server.url, NATS_NKEY: 'acme.nk' };
    const run = (to: string, ...args: string[]) => rig.with({ env }, 'run', 'Orders.Ship', '--user', 'u1', '--arg', `to=${to}`, ...args);
    expect(await run('Oslo', '--no-check', '--wait')).toMatchObject({ code: 0, stdout: '"shipped to Oslo"\n' });
    expect(await run('nowhere', '--no-check', '--wait')).toMatchObject({ code: 1, stderr: expect.stringContaining('no such place') });
    expect(await run('Oslo')).toMatchObject({ code: 2, stderr: expect.stringMatching(/JetStream not enabled[^]*--no-check/) });
  });
});
