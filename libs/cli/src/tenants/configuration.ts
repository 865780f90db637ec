import { TENANT_RIGHTS, tenantExports, tenantImports, type SharedSubject, type Tenant, type WireNames } from '@loopstack/shared/contract';

/*
 * The texts of a nats-server configuration with tenants. Pure. What an operator edits (the main file, the users) and what is written
 * anew each time (exports, imports, the index) are files of their own.
 */

/** What tenants are given, and from where. */
export interface Offer {
  readonly names: WireNames;
  /** Name of the account of the workers. */
  readonly account: string;
}

const FOLDER = 'tenants';
/** Below the folder of the configuration. */
export const FILES = {
  main: 'tenants.conf',
  exports: `${FOLDER}/exports.conf`,
  index: `${FOLDER}/index.conf`,
  tenant: (name: string): string => `${FOLDER}/${name}.conf`,
  users: (name: string): string => `${FOLDER}/${name}.users.conf`,
} as const;

/** The main file must include both. */
export const INCLUDES = [`include "${FILES.exports}"`, `include "${FILES.index}"`] as const;

const HEAD = '# loopstack tenant ';

export function mainText({ account }: Offer): string {
  return `# nats-server with an account for the workers and one for each tenant (docs/security.md). \`loopstack tenant add\` adds tenants.
#
#   WORKER_PASSWORD=… nats-server -c tenants.conf -sd /data      # without -sd the data goes to /tmp

listen: 0.0.0.0:4222
# For operators only: it shows the accounts and their imports.
http: 127.0.0.1:8222

# See durable.conf.
jetstream {
  sync_interval: always
}

accounts {
  # For workers and operators, who are trusted with every workspace.
  "${account}" {
    jetstream: enabled
    users: [ { user: worker, password: $WORKER_PASSWORD } ]
    ${INCLUDES[0]}
  }
  ${INCLUDES[1]}
}
`;
}

/** What every tenant may be given; what each is given stands in its imports, which only this configuration can write. */
export function exportsText({ names }: Offer): string {
  const lines = tenantExports(names).map(({ kind, subject, why }) => `  { ${kind}: ${JSON.stringify(subject)} }  # ${why}`);
  return `# What the workers' account offers to tenants. Written by \`loopstack tenant add\`.
exports: [
${lines.join('\n')}
]
`;
}

export function tenantText({ names, account }: Offer, tenant: Tenant): string {
  const lines = tenantImports(names, tenant).map(
    ({ kind, subject, why }: SharedSubject) =>
      `    { ${kind}: { account: ${JSON.stringify(account)}, subject: ${JSON.stringify(subject)} } }  # ${why}`,
  );
  return `${HEAD}${JSON.stringify(tenant)}
# Written by \`loopstack tenant add\`; the users stand in ${FILES.users(tenant.name).split('/').at(-1)}.
"${tenant.name}" {
  include "${tenant.name}.users.conf"
  imports: [
${lines.join('\n')}
  ]
}
`;
}

export function usersText({ name }: Tenant, nkey: string): string {
  return `# The users of tenant ${name}: public NKeys, or whatever else nats-server knows. Yours to edit.
users: [ { nkey: ${nkey} } ]
`;
}

/** The tenants in the order of their names, so that the same tenants are the same text. */
export function indexText(tenants: readonly string[]): string {
  const lines = [...tenants].toSorted().map((name) => `include "${name}.conf"\n`);
  return `# The accounts of all tenants. Written by \`loopstack tenant add\` and \`remove\`.\n${lines.join('')}`;
}

/** The tenant that a file was written for; undefined for another file. */
export function parseTenant(text: string): Tenant | undefined {
  const line = text.slice(0, text.indexOf('\n'));
  if (!line.startsWith(HEAD)) return undefined;
  try {
    const { name, workspaces, allow } = JSON.parse(line.slice(HEAD.length)) as Partial<Tenant>;
    if (typeof name !== 'string' || !Array.isArray(workspaces) || !Array.isArray(allow)) return undefined;
    return { name, workspaces, allow: TENANT_RIGHTS.filter((right) => allow.includes(right)) };
  } catch {
    return undefined;
  }
}
