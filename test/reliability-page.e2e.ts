import { readdir, readFile } from 'node:fs/promises';

const faults = new URL('faults/', import.meta.url);

/** Titles in the source of a test file, as they are written. */
const titlesOf = (source: string): string[] =>
  [...source.matchAll(/^ {2}(?:it(?:\.each\([\s\S]*?\))?|only[A-Z]\w*)\(\s*'((?:[^'\\]|\\.)*)'/gm)].map(([, title]) => title as string);

describe('docs/reliability.md', () => {
  let named: string[];
  let written: string[];
  beforeAll(async () => {
    const page = await readFile(new URL('../docs/reliability.md', import.meta.url), 'utf8');
    named = [...page.matchAll(/^- `([\w-]+\.e2e\.ts › [^`]+)`$/gm)].map(([, name]) => name as string);
    written = [];
    for (const file of (await readdir(faults)).filter((name) => name.endsWith('.e2e.ts'))) {
      for (const title of titlesOf(await readFile(new URL(file, faults), 'utf8'))) written.push(`${file} › ${title}`);
    }
  });

  it('names every test of test/faults, and no other', () => {
    expect(written.length).toBeGreaterThan(30);
    expect([...named].sort()).toEqual([...written].sort());
  });

  it('has the twenty properties', async () => {
    const page = await readFile(new URL('../docs/reliability.md', import.meta.url), 'utf8');
    const numbers = [...page.matchAll(/^### (\d+)\. /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('would miss a test in any of its forms', () => {
    expect(
      titlesOf(
        "  it('one', () => {});\n  it.each([\n    ['a', f(1)],\n  ] as const)('two (%s)', async () => {});\n  it.each(X)(\n    'three',\n  onlyIfSo('four',",
      ),
    ).toEqual(['one', 'two (%s)', 'three', 'four']);
  });
});
