import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A module hook that lets no framework in. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
export async function resolve(specifier, context, next) {
  if (specifier.startsWith('@nestjs/')) throw new Error('loads ' + specifier + ' from ' + context.parentURL);
  return next(specifier, context);
}`)}`;
const REGISTER = `data:text/javascript,${encodeURIComponent(`import { register } from 'node:module'; register(${JSON.stringify(HOOK)});`)}`;

const load = (door: string): Promise<{ stdout: string }> =>
  run(process.execPath, ['--import', REGISTER, '--input-type=module', '--eval', `await import('${door}'); console.log('loaded');`], {
    cwd: ROOT,
  });

it("the operators' door and the command line need no framework", async () => {
  for (const door of ['@loopstack/operations', './libs/cli/dist/main.js']) expect((await load(door)).stdout).toBe('loaded\n');
});

it('and the adapter does, so that this test can fail', async () => {
  await expect(load('@loopstack/nats')).rejects.toThrow('loads @nestjs/');
});
