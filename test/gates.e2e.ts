import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlantedTree, checkout } from './planted-tree.js';

/** One rule, a file that breaks only this one, and its text. */
type Plant = readonly [rule: string, path: string, text: string];
/** With the line that breaks it, if that is not the first. */
type TextPlant = readonly [...Plant, line?: number];

const pathsOf = (plants: readonly (Plant | TextPlant)[]): Record<string, string> =>
  Object.fromEntries(plants.map(([, path, text]) => [path, text]));

// Spelled in parts, so that this file itself passes the gate of texts.
const IT = 'it';
const DESCRIBE = 'describe';
const REGISTRY = 'registry';
const COLOR = ['colo', 'ur'].join('');
const machinePath = (...parts: string[]): string => ['', ...parts].join('/');

const LINT: readonly Plant[] = [
  ['eslint/eqeqeq', 'libs/core/src/eqeqeq.ts', 'export const isNull = (value: unknown): boolean => value == null;\n'],
  ['eslint/no-console', 'libs/core/src/console.ts', "console.log('seen');\n"],
  ['eslint/no-console', 'src/console.ts', "console.log('seen');\n"],
  ['eslint/no-restricted-properties', 'libs/nats/src/environment.ts', "export const url = process.env['NATS_URL'];\n"],
  ['eslint/no-restricted-properties', 'src/environment.ts', 'export const { env } = process;\n'],
  ['import/no-cycle', 'libs/core/src/ring-a.ts', "import { b } from './ring-b.js';\n\nexport const a = (): unknown => b;\n"],
  ['import/no-cycle', 'libs/core/src/ring-b.ts', "import { a } from './ring-a.js';\n\nexport const b = (): unknown => a;\n"],
  ['import/no-cycle', 'libs/core/src/type-a.ts', "import type { B } from './type-b.js';\n\nexport type A = B | 1;\n"],
  ['import/no-cycle', 'libs/core/src/type-b.ts', "import type { A } from './type-a.js';\n\nexport type B = A[];\n"],
  ['import/no-unassigned-import', 'libs/nats/src/unassigned.ts', "import 'nats';\n"],
  ['jest/no-focused-tests', 'libs/core/src/focused.spec.ts', `${IT}.only('works', () => {\n  expect(1).toBe(1);\n});\n`],
  ['jest/no-disabled-tests', 'libs/core/src/disabled.spec.ts', `${IT}.skip('works', () => {\n  expect(1).toBe(1);\n});\n`],
  ['jest/expect-expect', 'libs/core/src/idle.spec.ts', "it('works', () => {});\n"],
  ['typescript/await-thenable', 'libs/core/src/thenable.ts', 'export async function f(n: number): Promise<void> {\n  await n;\n}\n'],
  ['typescript/ban-ts-comment', 'libs/core/src/comment.ts', '// @ts-ignore\nexport const n: number = 1;\n'],
  ['typescript/no-explicit-any', 'libs/core/src/any.ts', 'export type Anything = any;\n'],
  ['typescript/no-extraneous-class', 'libs/core/src/class.ts', 'export class Names {\n  static readonly first = 1;\n}\n'],
  ['typescript/no-floating-promises', 'libs/core/src/floating.ts', 'Promise.resolve(1);\n'],
  ['typescript/no-floating-promises', 'libs/core/src/floating.spec.ts', 'Promise.resolve(1);\n'],
  ['typescript/no-floating-promises', 'libs/nats-server/src/floating.js', 'Promise.resolve(1);\n'],
  ['typescript/no-floating-promises', 'src/floating.ts', 'Promise.resolve(1);\n'],
  ['typescript/no-floating-promises', 'test/floating.e2e.ts', 'Promise.resolve(1);\n'],
  [
    'typescript/no-misused-promises',
    'libs/core/src/misused.ts',
    'export const sweep = (names: string[]): void => names.forEach(async (name) => Promise.resolve(name));\n',
  ],
  ['typescript/no-require-imports', 'libs/core/src/require.ts', "export const fs: unknown = require('node:fs');\n"],
  ['typescript/no-unsafe-argument', 'libs/core/src/argument.ts', "export const n = Number.parseInt(JSON.parse('1'));\n"],
  ['typescript/no-unsafe-assignment', 'libs/core/src/assignment.ts', "export const n = JSON.parse('1');\n"],
  ['typescript/no-unsafe-call', 'libs/core/src/call.ts', "export const n: unknown = JSON.parse('1')();\n"],
  ['typescript/no-unsafe-member-access', 'libs/core/src/member.ts', "export const n: unknown = JSON.parse('{}').n;\n"],
  ['typescript/no-unsafe-return', 'libs/core/src/return.ts', "export const n = (): number => JSON.parse('1');\n"],
  ['typescript/only-throw-error', 'libs/core/src/throw.ts', "export function f(): never {\n  throw 'no';\n}\n"],
  ['typescript/prefer-promise-reject-errors', 'libs/core/src/reject.ts', "export const f = (): Promise<never> => Promise.reject('no');\n"],
  [
    'typescript/return-await',
    'libs/core/src/await.ts',
    'export async function f(): Promise<number> {\n  try {\n    return Promise.resolve(1);\n  } catch {\n    return 0;\n  }\n}\n',
  ],
  [
    'typescript/switch-exhaustiveness-check',
    'libs/core/src/switch.ts',
    "export function f(side: 'a' | 'b'): number {\n  let n = 0;\n  switch (side) {\n    case 'a':\n      n = 1;\n  }\n  return n;\n}\n",
  ],
  ['eslint/max-lines', 'libs/core/src/long.ts', `export const n = 1;\n${'//\n'.repeat(300)}`],
  [
    'eslint/max-lines-per-function',
    'src/long.ts',
    `export function f(): number {\n  let n = 0;\n${'  n += 1;\n'.repeat(58)}  return n;\n}\n`,
  ],
  [
    'eslint/max-params',
    'libs/cli/src/wide.ts',
    'export const f = (a: 1, b: 1, c: 1, d: 1, e: 1, g: 1): number => a + b + c + d + e + g;\n',
  ],
  // One of each category that is on as a whole, and a comment that silences nothing.
  ['eslint/no-self-assign', 'libs/core/src/correctness.ts', 'export let n = 1;\nn = n;\n'],
  ['eslint/no-shadow', 'libs/core/src/suspicious.ts', 'export const n = 1;\nexport const f = (n: number): number => n;\n'],
  ['unused-directive', 'libs/core/src/directive.ts', '// oxlint-disable-next-line no-console\nexport const n = 1;\n'],
  // The import rules see every form of import.
  ['eslint/no-restricted-imports', 'libs/core/src/form-value.ts', "import { connect } from 'nats';\n\nexport const kept = [connect];\n"],
  ['eslint/no-restricted-imports', 'libs/core/src/form-export.ts', "export { connect } from 'nats';\n"],
  ['eslint/no-restricted-imports', 'libs/core/src/form-dynamic.ts', "export const late = (): Promise<unknown> => import('nats');\n"],
];

/** Specifiers, as a file of any room would write them. */
const SPECIFIERS = [
  '@loopstack/shared',
  '@loopstack/shared/contract',
  '@loopstack/jetstream',
  '@loopstack/client',
  '@loopstack/operations',
  '@loopstack/contract',
  '@loopstack/core',
  '@loopstack/core/testing',
  '@loopstack/nats',
  '@loopstack/nats-server',
  '@loopstack/testing',
  '@loopstack/shared/dist/name.js',
  'nats',
  'nats/lib/src/mod.js',
  '@nats-io/transport-node',
  '@nestjs/common',
  'node:fs/promises',
  'node:process',
  './neighbour.js',
  './index.js',
  '../dist/index.js',
];

const EVERYWHERE = ['node:fs/promises', './neighbour.js'];
const NATS = ['nats', 'nats/lib/src/mod.js', '@nats-io/transport-node'];
const SHARED = ['@loopstack/shared', '@loopstack/shared/contract'];
const CONTRACT = '@loopstack/shared/contract';
const BROKER = ['@loopstack/jetstream', '@loopstack/client', '@loopstack/operations'];
const DOORS = [...SHARED, ...BROKER, '@loopstack/contract', '@loopstack/core', '@loopstack/nats', '@loopstack/nats-server'];

/** What each room may import of them, and of paths; all else is refused. A room that is not named yet may import the least. */
const ROOMS: Readonly<Record<string, { readonly may: readonly string[]; readonly paths: readonly string[] }>> = {
  'libs/shared/src': { may: [...EVERYWHERE, '@nestjs/common'], paths: ['../../core/src/name.js', '../../../src/main.js'] },
  'libs/unnamed/src': { may: [...EVERYWHERE, '@nestjs/common'], paths: ['../../core/src/name.js'] },
  'libs/jetstream/src': { may: [...EVERYWHERE, ...NATS, CONTRACT], paths: ['../../shared/src/name.js'] },
  'libs/client/src': { may: [...EVERYWHERE, ...NATS, CONTRACT, '@loopstack/jetstream'], paths: ['../../shared/src/name.js'] },
  'libs/operations/src': {
    may: [...EVERYWHERE, ...NATS, CONTRACT, '@loopstack/jetstream', '@loopstack/client'],
    paths: ['../../client/src/name.js'],
  },
  'libs/contract/src': { may: [...EVERYWHERE, '@loopstack/shared/contract'], paths: ['../../shared/src/name.js'] },
  'libs/core/src': { may: [...EVERYWHERE, ...SHARED, '@nestjs/common'], paths: ['../../shared/src/name.js', '../../../test/run.e2e.js'] },
  'libs/nats/src': {
    may: [...EVERYWHERE, ...NATS, ...SHARED, ...BROKER, '@loopstack/core', '@nestjs/common'],
    paths: ['../../core/src/name.js'],
  },
  'libs/cli/src': {
    may: [...EVERYWHERE, CONTRACT, ...BROKER, '@loopstack/contract', '@loopstack/nats-server'],
    paths: ['../../client/src/name.js'],
  },
  'libs/testing/src': { may: [...EVERYWHERE, ...SHARED, '@loopstack/core', '@nestjs/common'], paths: ['../../core/src/name.js'] },
  'libs/nats-server/src': { may: EVERYWHERE, paths: ['../../shared/src/name.js'] },
  src: { may: [...EVERYWHERE, ...DOORS, '@nestjs/common'], paths: ['../libs/core/src/name.js', '../test/run.e2e.js', '../dist/main.js'] },
  test: {
    may: [...EVERYWHERE, ...DOORS, ...NATS, '@loopstack/core/testing', '@loopstack/testing', '@nestjs/common', '../src/main.js'],
    paths: ['../src/main.js', '../libs/core/src/name.js', '../dist/main.js'],
  },
};

const IMPORTS = Object.entries(ROOMS).flatMap(([room, { may, paths }]) =>
  [...SPECIFIERS, ...paths].map((specifier, i) => {
    const path = `${room}/import-${i}.${room.includes('nats-server') ? 'js' : 'ts'}`;
    const text = path.endsWith('.js')
      ? `import * as room from '${specifier}';\n\nexport const kept = room;\n`
      : `import type * as room from '${specifier}';\n\nexport type Kept = typeof room;\n`;
    return { room, specifier, path, text, verdict: may.includes(specifier) ? 'may' : 'may not' };
  }),
);

const TEXT: readonly TextPlant[] = [
  ['machine-path', 'docs/setup.md', `Look into ${machinePath('work', 'main')}.\n`],
  ['machine-path', 'config/nats/one.conf', `store_dir: "${machinePath('root', 'data')}"\n`],
  ['registry-host', 'docs/install.md', `npm install --registry https://${REGISTRY}.example.org\n`],
  ['registry-resolved', 'package-lock.json', '{ "resolved": "https://example.org/a.tgz" }\n'],
  ['focused-test', 'test/focused.e2e.ts', `${DESCRIBE}.only('works', () => {});\n`],
  ['focused-test', 'test/skipped.e2e.ts', `${IT}.skip.each([1])('works', () => {});\n`],
  ['left-over', 'src/todo.ts', '// TODO: the rest\n'],
  ['left-over', 'libs/shared/src/fixme.ts', '/* FIXME */\n'],
  ['unexplained', 'libs/core/src/silenced.ts', '// oxlint-disable-next-line no-console\n'],
  ['broker-word', 'libs/core/src/broker.ts', "export const kind = 'JetStream';\n"],
  ['wall-clock', 'libs/core/src/now.ts', 'export const now = (): number => Date.now();\n'],
  ['wall-clock', 'libs/nats/src/date.ts', 'export const now = (): Date => new Date();\n'],
  ['wall-clock', 'libs/nats-server/src/taken.js', 'export const { now } = Date;\n'],
  ['wall-clock', 'src/bare.ts', 'export const now = (): Date => new Date; // wall clock:\n'],
  ['wall-clock', 'src/dev/text.mjs', 'export const text = Date();\n'],
  ['wall-clock', 'libs/client/src/origin.ts', 'export const began = performance.timeOrigin;\n'],
  ['spelling', 'docs/colors.md', `Prints in ${COLOR}.\n`],
  ['spelling', 'libs/core/src/colors.ts', `export const ${COLOR} = 1;\n`],
  ['link', 'docs/links.md', 'See [the page](missing.md), and `[not](this.md)`.\n'],
  ['anchor', 'docs/anchors.md', 'See [the end](#the-end-1) of [the first](adr/0001-first.md#context).\n\n## The end\n'],
  ['wording', 'docs/wording.md', 'A redrive `nobody` asked for is for whoever wants it.\n'],
  ['record', 'libs/core/src/record.ts', `// See ADR 0999, and ADR 0001.\n`],
  ['record', 'libs/nats/src/record.ts', `export const hint = 'docs/adr/0998';\n`],
  ['page', 'libs/core/src/page.ts', '// The streams of DESIGN 4.\n'],
  ['page', 'test/page.e2e.ts', `/** As missing.md tells. */\n`],
  ['path', 'libs/core/src/path.ts', `// Held by test/missing.e2e.ts, not by test/run.e2e.ts.\n`],
  ['path', 'config/nats/path.conf', `listen: 1 # as in config/missing.conf\n`],
  ['path', 'docs/paths.md', `The code is in \`libs/missing/src\`, beside \`libs/core\`.\n`],
  ['path', 'docs/picture.md', '```mermaid\nflowchart LR\n  a["libs/core/src/missing.ts<br/>gone"] --> b["libs/core/src"]\n```\n', 3],
  ['import-type-expression', 'libs/core/src/expression.ts', "export type Body = import('node:fs').Stats;\n"],
  ['adr-name', 'docs/adr/first-idea.md', '# 0002: Idea\n'],
  ['adr-title', 'docs/adr/0003-title.md', adr('# Title')],
  ['adr-status', 'docs/adr/0004-status.md', adr('# 0004: Status', ['- Status: perhaps', '- Date: 2026-01-31'])],
  ['adr-date', 'docs/adr/0005-date.md', adr('# 0005: Date', ['- Status: accepted', '- Date: January'])],
  ['adr-heading', 'docs/adr/0006-heading.md', adr('# 0006: Heading').replace('## How it was measured\n', '')],
  ['adr-number', 'docs/adr/0001-second.md', adr('# 0001: Second')],
  ['crowded', 'libs/core/src/crowd/z.ts', 'export const z = 1;\n'],
];

/** Neighbors of a file that is one too many. */
const CROWD = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`libs/core/src/crowd/a${i}.ts`, `export const a = ${i};\n`]));

const COUNTED = ['one', 'two', 'three', 'four', 'five', 'six'];
/** Seven lines of code. */
const ADDED = `export const seven = [\n${COUNTED.map((word) => `  '${word}',`).join('\n')}\n];\n`;
/** The same with what does not count in between. */
const SPREAD = `export const other = [\n${COUNTED.map((word) => `    '${word}', // ${word}`).join('\n\n  // and\n')}\n];\n`;

function adr(title: string, header = ['- Status: accepted', '- Date: 2026-01-31']): string {
  return `${[title, '', ...header, '', '## Context', '', '## Decision', '', '## Consequences', '', '## How it was measured'].join('\n')}\n`;
}

/** A lock file with one package, and without the builds of it that it names. */
const lockFile = (optionalDependencies: Record<string, string>): string =>
  JSON.stringify({ packages: { 'node_modules/tool': { version: '1.0.0', optionalDependencies } } });

const withTree = (): (() => PlantedTree) => {
  let tree: PlantedTree | undefined;
  beforeAll(async () => {
    tree = await PlantedTree.create();
  });
  afterAll(() => tree?.remove());
  return () => tree as PlantedTree;
};

describe('npm run check', () => {
  const tree = withTree();

  it('passes a project that breaks no rule', async () => {
    const { code, output } = await tree().check();
    expect(output).toMatch(/check passed in [\d.]+ s\n$/);
    expect(code).toBe(0);
  });

  it('runs every gate although each of them fails', async () => {
    await tree().plant({
      'src/types.ts': "export const port: number = '3000';\n",
      'src/lint.ts': 'Promise.resolve(1);\n',
      'src/format.ts': 'export const  n = 1\n',
      'src/unused.ts': 'export const n = 1;\n',
      'src/first.ts': ADDED,
      'src/second.ts': ADDED,
      'src/text.ts': '// TODO: the rest\n',
      'package-lock.json': lockFile({ '@native/tool-linux-x64': '1.0.0' }),
    });
    const { code, output } = await tree().check();
    expect(output).toMatch(/\ncheck failed: types, lint, format, unused, duplicates, text, lock\n$/);
    expect(code).toBe(1);
  });

  it('refuses a gate that there is not', async () => {
    expect(await tree().check('lint', 'taste')).toMatchObject({ code: 1, output: expect.stringContaining('no gate taste') });
  });
});

describe('the gate of types', () => {
  const tree = withTree();

  it.each(['libs/core/src/wrong.ts', 'libs/core/src/wrong.spec.ts', 'src/wrong.ts', 'test/wrong.e2e.ts'])('fails on %s', async (path) => {
    await tree().plant({ [path]: "export const wrong: number = '1';\n" });
    const { code, output } = await tree().check('types');
    expect(output).toContain(`${path}(1,14): error TS2322`);
    expect(code).toBe(1);
  });
});

describe('the gate of lint', () => {
  interface Diagnostic {
    readonly code?: string;
    readonly message: string;
    readonly filename: string;
  }

  const tree = withTree();
  const found = new Map<string, string[]>();

  beforeAll(async () => {
    await tree().plant({ ...pathsOf(LINT), ...Object.fromEntries(IMPORTS.map(({ path, text }) => [path, text])) });
    const { output } = await tree().run('node_modules/oxlint/bin/oxlint', '--format=json');
    const { diagnostics } = JSON.parse(output) as { diagnostics: Diagnostic[] };
    for (const { code, message, filename } of diagnostics) {
      const rule =
        code?.replace(/^(\w+)\((.+)\)$/, '$1/$2') ?? (message.startsWith('Unused oxlint-disable') ? 'unused-directive' : message);
      found.set(filename, [...(found.get(filename) ?? []), rule]);
    }
  });

  it.each(LINT)('finds %s in %s, and nothing else', (rule, path) => {
    expect(found.get(path)).toEqual([rule]);
  });

  it.each(IMPORTS)('$room $verdict import $specifier', ({ path, verdict }) => {
    expect(new Set(found.get(path))).toEqual(new Set(verdict === 'may' ? [] : ['eslint/no-restricted-imports']));
  });

  it('has a plant for every rule that the configuration names', async () => {
    const text = await readFile(join(checkout, '.oxlintrc.json'), 'utf8');
    const { rules } = JSON.parse(text.replace(/^\s*\/\/.*$/gm, '')) as { rules: Record<string, unknown> };
    const named = Object.entries(rules).filter(([, level]) => level !== 'off');
    expect(named.map(([rule]) => rule).filter((rule) => !LINT.some(([planted]) => planted === rule))).toEqual([]);
  });
});

describe('the gate of formatting', () => {
  const tree = withTree();

  it('names the files that are not formatted, and no others', async () => {
    await tree().plant({ 'src/wide.ts': 'export const  wide = 1;\n', 'docs/list.md': '* one\n* two\n', '.ci/loose.mjs': 'export {}\n' });
    const { code, output } = await tree().check('format');
    expect(new Set([...output.matchAll(/^\[warn\] (\S+)$/gm)].map(([, path]) => path))).toEqual(
      new Set(['.ci/loose.mjs', 'docs/list.md', 'src/wide.ts']),
    );
    expect(code).toBe(1);
  });
});

describe('the gate of unused code', () => {
  const tree = withTree();

  it('names the unused file, export, type and dependency and the one that is not listed, and nothing else', async () => {
    const manifest = JSON.parse(await readFile(join(tree().root, 'libs/core/package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    await tree().plant({
      'libs/core/src/alone.ts': 'export const alone = 1;\n',
      'libs/core/src/parts.ts':
        "import { Kvm } from '@nats-io/kv';\n\nexport const used = Kvm;\nexport const unused = 1;\nexport type Unused = 1;\n",
      'libs/core/src/index.ts':
        "import { isName } from '@loopstack/shared';\nimport { used } from './parts.js';\n\nexport const core = [isName, used];\n",
      'libs/core/package.json': JSON.stringify({ ...manifest, dependencies: { ...manifest.dependencies, rxjs: '^7.8.0' } }),
    });
    const { output } = await tree().run('node_modules/knip/bin/knip.js', '--reporter', 'compact', '--no-config-hints');
    expect(new Set(output.split('\n').filter((line) => line.includes(': ')))).toEqual(
      new Set([
        'libs/core/src/alone.ts: libs/core/src/alone.ts',
        'libs/core/package.json: rxjs',
        'libs/core/src/parts.ts: @nats-io/kv',
        'libs/core/src/parts.ts: unused',
        'libs/core/src/parts.ts: Unused',
      ]),
    );
    expect((await tree().check('unused')).code).toBe(1);
  });
});

describe('the gate of duplicates', () => {
  const tree = withTree();

  it('finds six equal lines in two files and in one, and says where', async () => {
    await tree().plant({
      'libs/core/src/first.ts': ADDED,
      'libs/nats/src/second.ts': SPREAD,
      'src/twice.ts': `${ADDED.replaceAll("'", '"')}\n${SPREAD.replaceAll("'", '"')}`,
      'libs/core/src/five.ts': ADDED.split('\n').slice(1, 6).join('\n'),
      'libs/core/src/first.spec.ts': ADDED,
      'test/first.e2e.ts': ADDED,
    });
    const { code, output } = await tree().run('.ci/duplicates.mjs');
    expect(output.split('\n').map((line) => line.split(';')[0])).toEqual([
      'libs/nats/src/second.ts:2: duplicate: 6 lines of code as in libs/core/src/first.ts:2',
      'src/twice.ts:11: duplicate: 6 lines of code as in src/twice.ts:2',
      '',
    ]);
    expect(code).toBe(1);
  });

  it('takes the reason that one of the places gives', async () => {
    await tree().plant({
      'libs/nats/src/second.ts': `// same as libs/core/src/first.ts: neither imports the other\n${SPREAD}`,
      'src/twice.ts': ADDED.replaceAll("'", '"'),
    });
    expect(await tree().check('duplicates')).toMatchObject({ code: 0 });
  });

  it('takes neither a reason for another file nor an empty one', async () => {
    const reasons = ['// same as libs/core/src/five.ts: why', '// same as libs/core/src/first.ts:'];
    for (const reason of reasons) {
      await tree().plant({ 'libs/nats/src/second.ts': `${reason}\n${SPREAD}` });
      expect((await tree().check('duplicates')).code).toBe(1);
    }
  });
});

describe('the gate of texts', () => {
  const tree = withTree();

  it('finds what was planted for each rule, and nothing else', async () => {
    await tree().plant({ ...CROWD, ...pathsOf(TEXT) });
    const { code, output } = await tree().run('.ci/text.mjs');
    const lines = output.trimEnd().split('\n');
    expect(lines.map((line) => line.split(': ', 2).join(' ')).toSorted()).toEqual(
      TEXT.map(([rule, path, , line = 1]) => `${path}:${line} ${rule}`).toSorted(),
    );
    expect(code).toBe(1);
  });

  it('has a plant for every rule of it', async () => {
    const sources = await Promise.all(['text', 'references'].map((name) => readFile(join(checkout, `.ci/${name}.mjs`), 'utf8')));
    const rules = [...sources.join('\n').matchAll(/name: '([\w-]+)'|'(adr-\w+)'|: (adr-\w+|crowded): |\+ 1, '([\w-]+)'/g)];
    expect(new Set(rules.map(([, ...names]) => names.find((name) => name !== undefined)))).toEqual(new Set(TEXT.map(([rule]) => rule)));
  });
});

describe('the gate of the lock file', () => {
  const tree = withTree();

  it('names the build of a native package that is not in it', async () => {
    await tree().plant({ 'package-lock.json': lockFile({ '@native/tool-linux-x64': '1.0.0' }) });
    expect(await tree().run('.ci/complete-lock.mjs', '--check')).toEqual({ code: 1, output: 'node_modules/@native/tool-linux-x64\n' });
  });
});
