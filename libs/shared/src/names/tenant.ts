import { invalidOption, refusedOption } from '../value/option.js';
import { assertName, type WireNames } from './subject.js';

/*
 * Tenants: who may start the runs of some workspaces has an account of its own on the server, and imports from the account
 * of the workers what it may do, and nothing else. An answer of the server crosses back into the tenant's account, whatever
 * reply subject was asked for, so it reaches no other account's streams.
 */

/** What a tenant may do beside starting runs and reading their results. */
export const TENANT_RIGHTS = ['lanes', 'cancel', 'schedules', 'catalogue'] as const;
export type TenantRight = (typeof TENANT_RIGHTS)[number];

export interface Tenant {
  /** Also the name of its account. */
  readonly name: string;
  readonly workspaces: readonly string[];
  readonly allow: readonly TenantRight[];
}

/** A subject that crosses accounts: `service` carries questions one way and their answers back, `stream` messages one way. */
export interface SharedSubject {
  readonly kind: 'service' | 'stream';
  readonly subject: string;
  readonly why: string;
}

interface Offer {
  readonly kind: SharedSubject['kind'];
  readonly why: string;
  /** Absent: every tenant has it. */
  readonly right?: TenantRight;
  /** The subjects for one workspace; for `*` they cover those of every workspace. */
  readonly of: (workspace: string) => readonly string[];
}

function offers(names: WireNames): readonly Offer[] {
  const { streams, catalogue } = names;
  // The form of a direct get that names the subject in its own: one that names it in its body could read anything.
  const read = (stream: string, subject: string): string => `$JS.API.DIRECT.GET.${stream}.${subject}`;
  const any = (workspace: string): { workspace: string; workflow: string } => ({ workspace, workflow: '*' });
  return [
    { kind: 'service', why: 'start runs', of: (w) => [names.run(any(w))] },
    { kind: 'service', why: 'read results', of: (w) => [read(streams.events, names.event(any(w), '*'))] },
    { kind: 'service', why: 'start runs by priority', right: 'lanes', of: (w) => [names.run(any(w), 'high'), names.run(any(w), 'low')] },
    { kind: 'service', why: 'record outcomes', right: 'cancel', of: (w) => [names.event(any(w), '*')] },
    { kind: 'service', why: 'tell workers of cancels', right: 'cancel', of: (w) => [names.cancel(any(w), '*')] },
    {
      kind: 'service',
      why: 'start runs later',
      right: 'schedules',
      of: (w) => [names.schedule(any(w), '*'), read(streams.schedules, names.schedule(any(w), '*'))],
    },
    {
      kind: 'service',
      why: 'look workflows up',
      right: 'catalogue',
      of: (w) => [read(`KV_${catalogue}`, `$KV.${catalogue}.${w}.*`)],
    },
    // Told apart from the service that records events by its form: `nsc generate activation` finds an export by the subject alone.
    { kind: 'stream', why: 'hear events', of: (w) => [w === '*' ? `${names.prefix}.event.>` : `${names.prefix}.event.${w}.>`] },
  ];
}

/** What the account of the workers offers to tenants. Services come first. */
export function tenantExports(names: WireNames): readonly SharedSubject[] {
  return offers(names).flatMap(({ kind, why, of }) => of('*').map((subject) => ({ kind, subject, why })));
}

/**
 * What the account of a tenant takes of it.
 * @throws LoopstackError NAME_INVALID, OPTION_INVALID
 */
export function tenantImports(names: WireNames, tenant: Tenant): readonly SharedSubject[] {
  assertTenant(tenant);
  const given = offers(names).filter(({ right }) => right === undefined || tenant.allow.includes(right));
  return tenant.workspaces.flatMap((workspace) =>
    given.flatMap(({ kind, why, of }) => of(workspace).map((subject) => ({ kind, subject, why }))),
  );
}

/** @throws LoopstackError NAME_INVALID, OPTION_INVALID */
export function assertTenant({ name, workspaces, allow }: Tenant): void {
  assertName('tenant', name);
  if (workspaces.length === 0) throw refusedOption('workspaces', 'at least one workspace', 'none');
  for (const workspace of workspaces) assertName('workspace', workspace);
  const strange = allow.find((right) => !TENANT_RIGHTS.includes(right));
  if (strange !== undefined) throw invalidOption('allow', `some of ${TENANT_RIGHTS.join(', ')}`, strange);
}
