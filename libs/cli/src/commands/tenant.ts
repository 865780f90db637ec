import {
  TENANT_RIGHTS,
  assertTenant,
  createUserKey,
  publicKeyOf,
  tenantImports,
  wireNames,
  type Tenant,
  type TenantRight,
} from '@loopstack/shared/contract';
import { Command } from 'commander';
import { writeFile } from 'node:fs/promises';
import type { Cli, Invocation } from '../cli.js';
import { EXIT, UsageError, type ExitCode } from '../exit.js';
import type { Settings } from '../settings.js';
import { tenantText, usersText, type Offer } from '../tenants/configuration.js';
import { TenantFolder } from '../tenants/folder.js';
import { addScript, removeScript } from '../tenants/nsc.js';

interface Place {
  readonly dir?: string;
  readonly account?: string;
}

interface AddOptions extends Place {
  readonly workspaces: string;
  readonly allow?: string;
  readonly operator?: boolean;
  readonly user?: string;
  readonly seedFile?: string;
}

const RELOAD = 'reload the server: nats-server --signal reload';

export function tenantCommand(cli: Cli): Command {
  const tenant = new Command('tenant').description('manage tenants: accounts that may start runs in certain workspaces only');
  const placed = (command: Command): Command =>
    command
      .option('--dir <folder>', 'folder of the nats-server configuration, with tenants.conf')
      .option('--account <name>', 'account of the workers; default: the prefix in capitals');
  placed(tenant.command('list', { isDefault: true }))
    .description('list the tenants of a configuration')
    .action(cli.action<Place>(list));
  placed(tenant.command('show'))
    .description('show the rights of a tenant')
    .argument('<name>', 'name of the tenant')
    .action(cli.action<Place, [string]>(show));
  placed(tenant.command('add'))
    .description('add a tenant or change its rights: write the configuration (--dir), print it, or print nsc commands (--operator)')
    .argument('<name>', 'name of the tenant and its account')
    .requiredOption('--workspaces <names>', 'workspaces where it may start runs, separated by commas')
    .option('--allow <rights>', `further rights, separated by commas: ${TENANT_RIGHTS.join(', ')}`)
    .option('--operator', 'print nsc commands, for a server in operator mode')
    .option('--user <nkey>', 'public NKey (U…) of its first user; default: a new one')
    .option('--seed-file <file>', 'file for the seed of a new NKey; default: <name>.nk')
    .action(cli.action<AddOptions, [string]>(add));
  placed(tenant.command('remove'))
    .description('remove a tenant and its users from the configuration')
    .argument('<name>', 'name of the tenant')
    .option('--operator', 'print nsc commands, for a server in operator mode')
    .action(cli.action<Place & { operator?: boolean }, [string]>(remove));
  return tenant;
}

function offerOf({ account }: Place, { prefix }: Settings): Offer {
  const names = wireNames(prefix);
  return { names, account: account ?? names.prefix.toUpperCase() };
}

/** @throws UsageError without --dir */
function folderOf(options: Place, settings: Settings): TenantFolder {
  if (options.dir === undefined) throw new UsageError('no configuration given', 'Pass --dir <folder>, the folder that has tenants.conf.');
  return new TenantFolder(options.dir, offerOf(options, settings));
}

const words = (text: string): string[] => [...new Set(text.split(',').map((word) => word.trim()))].filter((word) => word !== '');

async function list({ options, settings, terminal }: Invocation<Place>): Promise<void> {
  const tenants = await folderOf(options, settings).list();
  terminal.result(tenants, () =>
    tenants.length === 0
      ? 'no tenants'
      : terminal.table(
          ['TENANT', 'WORKSPACES', 'ALSO'],
          tenants.map(({ name, workspaces, allow }) => [name, workspaces.join(', '), allow.join(', ')]),
        ),
  );
}

async function show({ options, settings, terminal }: Invocation<Place>, name: string): Promise<void> {
  const tenant = await folderOf(options, settings).get(name);
  const imports = tenantImports(offerOf(options, settings).names, tenant);
  terminal.result({ ...tenant, imports }, () =>
    terminal.table(
      ['MAY', 'BY', 'SUBJECT'],
      imports.map(({ kind, subject, why }) => [why, kind === 'service' ? 'publishing' : 'subscribing', subject]),
    ),
  );
}

async function add({ options, settings, terminal }: Invocation<AddOptions>, name: string): Promise<void> {
  const tenant: Tenant = { name, workspaces: words(options.workspaces), allow: words(options.allow ?? '') as TenantRight[] };
  assertTenant(tenant);
  const offer = offerOf(options, settings);
  const imports = tenantImports(offer.names, tenant);
  if (tenant.allow.includes('schedules'))
    terminal.note('a tenant with the right schedules can read the schedules of others (docs/security.md)');
  if (options.operator) {
    const script = addScript(offer, tenant);
    return terminal.result({ ...tenant, imports, script }, script.trimEnd());
  }
  let seedFile: string | undefined;
  const newUser = async (): Promise<string> => {
    if (options.user !== undefined) {
      publicKeyOf(options.user, 'user');
      return options.user;
    }
    const { nkey, seed } = createUserKey();
    seedFile = options.seedFile ?? `${name}.nk`;
    await writeSeed(seedFile, seed);
    return nkey;
  };
  if (options.dir === undefined) {
    const [, users = ''] = usersText(tenant, await newUser()).split('\n');
    const text = tenantText(offer, tenant).replace(`include "${name}.users.conf"`, users);
    terminal.result({ ...tenant, imports, seedFile, text }, text.trimEnd());
  } else {
    const files = await new TenantFolder(options.dir, offer).add(tenant, newUser);
    const written = seedFile === undefined ? files : [...files, seedFile];
    terminal.result({ ...tenant, imports, files, seedFile }, written.length === 0 ? 'nothing to change' : written.join('\n'));
    if (files.length > 0) terminal.note(RELOAD);
  }
  if (seedFile !== undefined) terminal.note(`its seed, for the tenant only: ${seedFile} (connect with --nkey ${seedFile})`);
}

/** Never over another one. */
async function writeSeed(file: string, seed: string): Promise<void> {
  await writeFile(file, `${seed}\n`, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${file} cannot be written: ${error.code ?? error.message}`, 'Pass --seed-file, or --user with a public NKey.');
  });
}

async function remove(
  { options, settings, terminal }: Invocation<Place & { readonly operator?: boolean }>,
  name: string,
): Promise<ExitCode> {
  if (options.operator) {
    assertTenant({ name, workspaces: ['any'], allow: [] });
    const script = removeScript({ name });
    terminal.result({ name, script }, script.trimEnd());
    return EXIT.DONE;
  }
  const folder = folderOf(options, settings);
  await folder.get(name);
  if (!(await terminal.confirm(`Remove tenant ${name} and its users from the configuration?`))) return EXIT.PARTLY;
  await folder.remove(name);
  terminal.result({ name, removed: true }, `tenant ${name} removed`);
  terminal.note(RELOAD);
  return EXIT.DONE;
}
