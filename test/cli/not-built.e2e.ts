import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

it('the command of a checkout that is not built yet says what to do', async () => {
  const home = await mkdtemp(join(tmpdir(), 'loopstack-cli-'));
  try {
    await mkdir(join(home, 'bin'));
    await writeFile(join(home, 'package.json'), '{"type":"module"}');
    await cp(fileURLToPath(new URL('../../libs/cli/bin/loopstack.js', import.meta.url)), join(home, 'bin/loopstack.js'));
    const { status, stderr } = spawnSync(process.execPath, [join(home, 'bin/loopstack.js'), 'doctor'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toBe('error: the command line is not built yet\n  Build it: npm run build\n');
  } finally {
    await rm(home, { recursive: true });
  }
});
