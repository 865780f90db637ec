import { readdir, readFile } from 'node:fs/promises';

const faults = new URL('faults/', import.meta.url);

/** Titles in the source of a test file, as they are written. */
const titlesOf = (source: string): string[] =>
  [...source.matchAll(/^ {2}(?:it(?:\.each(?:<[^(]*>)?\([\s\S]*?\))?|only[A-Z]\w*)\(\s*'((?:[^'\\]|\\.)*)'/gm)].map(
    ([, title]) => title as string,
  );

/** Tests that a page names. */
async function namedBy(page: string): Promise<string[]> {
  const text = await readFile(new URL(`../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^- `([\w-]+\.e2e\.ts › [^`]+)`$/gm)].map(([, name]) => name as string);
}

async function testsIn(folder: URL): Promise<string[]> {
  const tests: string[] = [];
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.e2e.ts'))) {
    for (const title of titlesOf(await readFile(new URL(file, folder), 'utf8'))) tests.push(`${file} › ${title}`);
  }
  return tests;
}

describe('docs/security.md', () => {
  it('names tests that there are', async () => {
    const written = new Set([...(await testsIn(faults)), ...(await testsIn(new URL('./', import.meta.url)))]);
    const named = await namedBy('security.md');
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !written.has(name))).toEqual([]);
  });
});

describe('docs/reliability.md', () => {
  it('names, with docs/security.md, every test of test/faults, and no other', async () => {
    const written = await testsIn(faults);
    const elsewhere = (await namedBy('security.md')).filter((name) => written.includes(name));
    expect(written.length).toBeGreaterThan(30);
    expect([...(await namedBy('reliability.md')), ...elsewhere].sort()).toEqual(written.sort());
  });

  it('has the twenty properties', async () => {
    const page = await readFile(new URL('../docs/reliability.md', import.meta.url), 'utf8');
    const numbers = [...page.matchAll(/^### (\d+)\. /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('would miss a test in any of its forms', () => {
    expect(
      titlesOf(
        "  it('one', () => {});\n  it.each([\n    ['a', f(1)],\n  ] as const)('two (%s)', async () => {});\n  it.each(X)(\n    'three',\n  onlyIfSo('four',\n  it.each<readonly [string]>([\n])('five',",
      ),
    ).toEqual(['one', 'two (%s)', 'three', 'four', 'five']);
  });
});
