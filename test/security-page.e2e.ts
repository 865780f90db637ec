import { readFile, readdir } from 'node:fs/promises';

const ROOT = new URL('..', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, ROOT), 'utf8');

/** Titles of tests in a source: the first arguments of calls, as they are written. */
const titlesOf = (source: string): string[] =>
  [...source.matchAll(/\(\s*(['"`])((?:(?!\1)[^\\\n]|\\.)+)\1,/g)].map(([, , title]) => title as string);

/** Names of tests in a page that no test has. A title may stand behind what its group is called, a file without its folder. */
async function missing(page: string): Promise<string[]> {
  const files = [
    ...(await readdir(new URL('test', ROOT), { recursive: true })),
    ...(await readdir(new URL('libs', ROOT), { recursive: true })),
  ];
  const unknown: string[] = [];
  for (const [name, file = '', title = ''] of page.matchAll(/`([\w/-]+\.(?:e2e|spec)\.ts) › ([^`]+)`/g)) {
    const tail = file.replace(/^(?:test|libs)\//, '');
    const paths = files.filter((path) => path === tail || path.endsWith(`/${tail}`)).filter((path) => !path.includes('node_modules'));
    const sources = await Promise.all(paths.map((path) => read(`test/${path}`).catch(() => read(`libs/${path}`))));
    const titles = sources.flatMap(titlesOf);
    if (!titles.some((written) => title === written || (written.includes(' ') && title.endsWith(` ${written}`)))) unknown.push(name);
  }
  return unknown;
}

describe('docs/security.md', () => {
  it('names tests that are there', async () => {
    const page = await read('docs/security.md');
    expect(page.match(/\.ts › /g)?.length).toBeGreaterThan(10);
    expect(await missing(page)).toEqual([]);
  });

  it('would be found out if one were not', async () => {
    const names = [
      '`test/security-page.e2e.ts › names tests that are there`',
      '`security-page.e2e.ts › is no test`',
      '`test/none.e2e.ts › x`',
    ];
    expect(await missing(names.join('\n'))).toEqual(names.slice(1));
  });
});
