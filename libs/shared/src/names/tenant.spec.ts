import fc from 'fast-check';
import { createUserKey, keyPairOf, publicKeyOf } from '../signing/nkey.js';
import { filterCovers, filtersOverlap } from './subject-filter.js';
import { isName, wireNames } from './subject.js';
import { TENANT_RIGHTS, tenantExports, tenantImports, type Tenant } from './tenant.js';

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/).filter(isName);
const tenant: fc.Arbitrary<Tenant> = fc.record({
  name,
  workspaces: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
  allow: fc.subarray([...TENANT_RIGHTS]),
});
const names = wireNames();

describe('what a tenant imports', () => {
  it('is part of what the account of the workers exports, and of one export of its kind', () => {
    fc.assert(
      fc.property(name, tenant, (prefix, given) => {
        const wire = wireNames(prefix);
        for (const { kind, subject } of tenantImports(wire, given)) {
          const from = tenantExports(wire).filter((offered) => offered.kind === kind && filterCovers(offered.subject, subject));
          expect(from).toHaveLength(1);
        }
      }),
    );
  });

  it('has nothing in common with what a tenant of other workspaces may publish', () => {
    fc.assert(
      fc.property(tenant, tenant, (one, other) => {
        fc.pre(!one.workspaces.some((workspace) => other.workspaces.includes(workspace)));
        for (const a of tenantImports(names, one))
          for (const b of tenantImports(names, other)) expect(filtersOverlap(a.subject, b.subject)).toBe(false);
      }),
    );
  });

  it.each([
    [[], 3],
    [['lanes'], 5],
    [['cancel'], 5],
    [['schedules'], 5],
    [['catalogue'], 4],
    [TENANT_RIGHTS, 10],
  ] as const)('is closed but for what is opened: %j', (allow, count) => {
    const imports = tenantImports(names, { name: 't', workspaces: ['Orders'], allow });
    expect(imports).toHaveLength(count);
    // No question whose body says what is read or written.
    const api = imports.filter(({ subject }) => subject.startsWith('$JS.'));
    expect(api.every(({ subject }) => /^\$JS\.API\.DIRECT\.GET\.[A-Z_]+\..*\bOrders\b/.test(subject))).toBe(true);
  });

  it('is found by the activation of nsc, which takes the first export that covers a subject, with its kind', () => {
    for (const { kind, subject } of tenantImports(names, { name: 't', workspaces: ['Orders'], allow: TENANT_RIGHTS })) {
      expect(tenantExports(names).find((offered) => filterCovers(offered.subject, subject))?.kind).toBe(kind);
    }
  });

  it.each([
    [{ name: 'a.b', workspaces: ['Orders'], allow: [] }, 'NAME_INVALID'],
    [{ name: 't', workspaces: ['*'], allow: [] }, 'NAME_INVALID'],
    [{ name: 't', workspaces: [], allow: [] }, 'OPTION_INVALID'],
    [{ name: 't', workspaces: ['Orders'], allow: ['everything' as 'lanes'] }, 'OPTION_INVALID'],
  ])('refuses %j', (given, code) => {
    expect(() => tenantImports(names, given)).toThrow(expect.objectContaining({ code }) as Error);
  });
});

it('a new user key is a seed and its public NKey', () => {
  const { nkey, seed } = createUserKey();
  expect(seed).toMatch(/^SU[A-Z2-7]{56}$/);
  expect(keyPairOf(seed).nkey).toBe(nkey);
  expect(() => publicKeyOf(nkey)).not.toThrow();
  expect(createUserKey().seed).not.toBe(seed);
});
