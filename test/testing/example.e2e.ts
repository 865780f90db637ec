import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Ran {
  readonly code: number;
  readonly output: string;
}

/** Runs an example as its reader would. */
function jestOn(name: string, ...flags: readonly string[]): Promise<Ran> {
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js');
  const args = ['--testMatch', `**/test/testing/example/${name}.example.ts`, '--runInBand', ...flags];
  const env = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning', NO_COLOR: '1' };
  return new Promise((resolve) => {
    execFile(process.execPath, [jest, ...args], { cwd: ROOT, env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
}

/** Without the indentation, which a page leaves out. */
const unindented = (code: string): string => code.replaceAll(/^ +/gm, '').trim();

describe('the examples of the page on testing', () => {
  it('are what the page shows', async () => {
    const page = await readFile(join(ROOT, 'docs/testing.md'), 'utf8');
    const folder = join(ROOT, 'test/testing/example');
    const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
    const sources = unindented(files.join('\n'));
    const blocks = [...page.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => unindented(code).replace(/\n}\);$/, ''));
    expect(blocks.length).toBeGreaterThanOrEqual(6);
    expect(blocks.filter((block) => !sources.includes(block))).toEqual([]);
  });

  it.each([
    ['orders', 3],
    ['timers', 1],
    ['server', 1],
    ['unclosed', 1],
  ])('pass, and leave nothing open: %s', async (name, count) => {
    const { code, output } = await jestOn(name, '--detectOpenHandles');
    expect(output).toContain(`Tests:       ${count} passed, ${count} total`);
    expect(output).not.toMatch(/open handle|did not exit|ERROR/);
    expect(code).toBe(0);
  });

  it('are a hundred tests in little time', async () => {
    const { code, output } = await jestOn('hundred');
    expect(output).toContain('Tests:       100 passed, 100 total');
    const figure = /100 tests took \d+ ms, \d+ ms of CPU/.exec(output)?.[0];
    expect(figure).toBeDefined();
    console.log(figure);
    expect(code).toBe(0);
  });
});
