import { tenantExports, tenantImports, type Tenant } from '@loopstack/shared/contract';
import type { Offer } from './configuration.js';

/*
 * The same for a server in operator mode, where accounts are JWTs: commands for nsc, which has the keys. Exports are private: an account
 * that imports needs an activation, which the account of the workers signs for one subject and one account. Pure.
 */

export function addScript({ names, account }: Offer, tenant: Tenant): string {
  const exported = tenantExports(names).map(({ kind, subject, why }) => `offer ${kind} '${why}' '${subject}'`);
  const imported = tenantImports(names, tenant).map(({ subject, why }) => `take '${subject}'  # ${why}`);
  return `#!/bin/sh
# Tenant ${tenant.name}: workspaces ${tenant.workspaces.join(', ')}${tenant.allow.length > 0 ? `; also ${tenant.allow.join(', ')}` : ''}.
# nsc says of what is there already that it is, and the script goes on.
workers='${account}'
tenant='${tenant.name}'
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

offer() {
  service=; [ "$1" = service ] && service=--service
  nsc add export --account "$workers" --private $service --name "$2" --subject "$3"
}
take() {
  nsc generate activation --account "$workers" --target-account "$tenant" --subject "$1" --output-file "$folder/activation" &&
    nsc add import --account "$tenant" --token "$folder/activation"
}

# What the account of the workers offers. Services first: nsc finds an export by its subject.
${exported.join('\n')}

# The account of the tenant, what it takes, and its first user.
nsc add account --name "$tenant"
${imported.join('\n')}
nsc add user --account "$tenant" --name "$tenant"

nsc push --account "$workers"
nsc push --account "$tenant"
`;
}

/** The account, its users and what it imports; \`nsc push --prune\` takes it from the servers. */
export function removeScript({ name }: Pick<Tenant, 'name'>): string {
  return `#!/bin/sh
nsc delete account --name '${name}' --rm-nkey --rm-creds &&
  nsc push --prune
`;
}
