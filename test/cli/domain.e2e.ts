import { CliRig } from './rig.js';

// A server of the domain itself maps `$JS.hub.API.>` to `$JS.API.>`, and checks the rights to both.
const OWN = '"loopstack.>", "$JS.API.>", "$JS.ACK.>", "$KV.>", "$SYS.REQ.USER.INFO"';
const CONFIG = `
  jetstream { domain: hub }
  authorization {
    users: [
      { user: local, password: secret, permissions: { publish: { allow: [${OWN}] } } }
      { user: remote, password: secret, permissions: { publish: { allow: [${OWN}, "$JS.hub.API.>"] } } }
    ]
  }`;

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly fix?: string;
}

const rig = CliRig.use('all', { config: CONFIG });

async function doctor(user: string, ...args: readonly string[]): Promise<ReadonlyMap<string, Finding>> {
  const server = rig.server.url.replace('://', `://${user}:secret@`);
  const findings = await rig.json<Finding[]>(['doctor', '--server', server, ...args], 3);
  return new Map(findings.map((finding) => [finding.check, finding]));
}

it('doctor asks and judges in the JetStream domain', async () => {
  const findings = await doctor('remote', '--domain', 'hub');
  expect(findings.get('jetstream')?.message).toBe('JetStream answers');
  expect(findings.get('permissions')?.status).toBe('ok');
});

it('doctor names the rights that the domain needs', async () => {
  expect((await doctor('local')).get('permissions')?.status).toBe('ok');
  expect((await doctor('local', '--domain', 'hub')).get('permissions')).toMatchObject({
    status: 'warning',
    fix: expect.stringContaining('$JS.hub.API.STREAM.INFO.LOOPSTACK_RUNS'),
  });
});
