import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const checkout = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The files that say what the gates demand: copied, so that the plants are judged by what judges the project. */
const GATE_FILES = [
  '.ci',
  '.gitignore',
  '.npmrc',
  '.oxlintrc.json',
  '.prettierignore',
  '.prettierrc.json',
  'jest.config.mjs',
  'knip.json',
  'tsconfig.base.json',
];

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function room(name: string, entries: Record<string, string>, dependencies: Record<string, string> = {}): Record<string, string> {
  const exports = Object.fromEntries(
    Object.keys(entries).map((door) => [
      door === 'index' ? '.' : `./${door}`,
      name === 'nats-server'
        ? { types: `./dist/${door}.d.ts`, default: `./src/${door}.js` }
        : { types: `./dist/${door}.d.ts`, default: `./dist/${door}.js` },
    ]),
  );
  const source = name === 'nats-server' ? 'js' : 'ts';
  return {
    [`libs/${name}/package.json`]: json({ name: `@loopstack/${name}`, version: '0.1.0', type: 'module', exports, dependencies }),
    ...Object.fromEntries(Object.entries(entries).map(([door, text]) => [`libs/${name}/src/${door}.${source}`, text])),
  };
}

/** A project that passes: every room, each importing all that it may import. */
const CLEAN: Readonly<Record<string, string>> = {
  ...room('shared', { index: "export * from './contract.js';\n", contract: "export * from './name.js';\n" }),
  'libs/shared/src/name.ts': 'export const isName = (text: string): boolean => /^\\w+$/.test(text);\n',
  'libs/shared/src/name.spec.ts':
    "import { isName } from './name.js';\n\nit('accepts a word', () => {\n  expect(isName('word')).toBe(true);\n});\n",
  ...room(
    'jetstream',
    {
      index:
        "import { connect } from 'nats';\nimport { isName } from '@loopstack/shared/contract';\n\nexport const jetstream = [connect, isName];\n",
    },
    { '@loopstack/shared': '^0.1.0', nats: '^2.29.3' },
  ),
  ...room(
    'client',
    { index: "import { jetstream } from '@loopstack/jetstream';\n\nexport const client = [jetstream];\n" },
    { '@loopstack/jetstream': '^0.1.0' },
  ),
  ...room(
    'operations',
    { index: "import { client } from '@loopstack/client';\n\nexport const operations = [client];\n" },
    { '@loopstack/client': '^0.1.0' },
  ),
  ...room(
    'contract',
    { index: "import { isName } from '@loopstack/shared/contract';\n\nexport const contract = isName('word');\n" },
    { '@loopstack/shared': '^0.1.0' },
  ),
  'libs/cli/package.json': json({
    name: '@loopstack/cli',
    version: '0.1.0',
    type: 'module',
    exports: { '.': './dist/index.js' },
    dependencies: { '@loopstack/contract': '^0.1.0', '@loopstack/operations': '^0.1.0' },
  }),
  'libs/cli/src/index.ts':
    "import { contract } from '@loopstack/contract';\nimport { operations } from '@loopstack/operations';\n\nexport const main = [contract, operations];\n",
  ...room(
    'core',
    { index: "import { isName } from '@loopstack/shared';\n\nexport const core = isName('word');\n" },
    { '@loopstack/shared': '^0.1.0' },
  ),
  ...room(
    'nats',
    {
      index:
        "import { connect } from 'nats';\nimport { client } from '@loopstack/client';\nimport { core } from '@loopstack/core';\nimport { isName } from '@loopstack/shared';\n\nexport const adapter = { connect, client, core, isName };\n",
    },
    { '@loopstack/client': '^0.1.0', '@loopstack/core': '^0.1.0', '@loopstack/shared': '^0.1.0', nats: '^2.29.3' },
  ),
  ...room(
    'testing',
    {
      index:
        "import { core } from '@loopstack/core';\nimport { isName } from '@loopstack/shared';\n\nexport const broker = [core, isName];\n",
    },
    { '@loopstack/core': '^0.1.0', '@loopstack/shared': '^0.1.0' },
  ),
  ...room('nats-server', {
    index: "import { readFile } from 'node:fs/promises';\n\nexport const find = () => readFile(process.env['PATH'] ?? '');\n",
  }),
  'src/settings.ts': "export const settings = Object.freeze({ port: process.env['PORT'] ?? '3000' });\n",
  'src/dev/start.mjs': "import { find } from '@loopstack/nats-server';\n\nconsole.log(await find(), process.env['PORT']);\n",
  'src/main.ts':
    "import { adapter } from '@loopstack/nats';\nimport { settings } from './settings.js';\n\nexport const main = { adapter, settings };\n",
  'test/run.e2e.ts':
    "import { connect } from 'nats';\nimport { find } from '@loopstack/nats-server';\nimport { broker } from '@loopstack/testing';\nimport { main } from '../src/main.js';\n\nit('has what it needs', () => {\n  expect([connect, find, broker, main]).toHaveLength(4);\n});\n",
  'package-lock.json': '{ "packages": {} }\n',
  'docs/adr/0001-first.md':
    '# 0001: First\n\n- Status: accepted\n- Date: 2026-01-31\n\n## Context\n\n## Decision\n\n## Consequences\n\n## How it was measured\n',
};

/** Rooms and tools as workspaces would link them: ours to the planted ones, all others to those of the checkout. */
async function linkModules(root: string): Promise<void> {
  const installed = join(checkout, 'node_modules');
  await mkdir(join(root, 'node_modules', '@loopstack'), { recursive: true });
  for (const entry of await readdir(installed)) {
    if (entry !== '@loopstack' && !entry.startsWith('.')) await symlink(join(installed, entry), join(root, 'node_modules', entry));
  }
  for (const name of await readdir(join(root, 'libs'))) {
    await symlink(join(root, 'libs', name), join(root, 'node_modules', '@loopstack', name));
  }
}

/** Jest tells its workers to colour what they print. */
const UNCOLOURED = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' };

/** What a run of a program printed, and its exit code. */
interface Ran {
  readonly code: number;
  readonly output: string;
}

/** A project in a temporary directory with the gates of this one, clean until something is planted in it. */
export class PlantedTree {
  private constructor(readonly root: string) {}

  static async create(): Promise<PlantedTree> {
    const tree = new PlantedTree(await mkdtemp(join(tmpdir(), 'loopstack-gates-')));
    for (const path of GATE_FILES) await cp(join(checkout, path), join(tree.root, path), { recursive: true });
    const { scripts, devDependencies } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as Record<string, object>;
    const tools = Object.entries(devDependencies ?? {}).filter(([name]) =>
      /^(@swc\/|@types\/(?:jest|node)|jest|knip|oxlint|prettier|typescript)/.test(name),
    );
    const dependencies = { '@loopstack/nats': '^0.1.0', nats: '^2.29.3' };
    await tree.plant({
      ...CLEAN,
      'package.json': json({
        name: 'planted',
        private: true,
        type: 'module',
        workspaces: ['libs/*'],
        scripts,
        dependencies,
        devDependencies: { ...Object.fromEntries(tools), '@loopstack/nats-server': '^0.1.0', '@loopstack/testing': '^0.1.0' },
      }),
    });
    await tree.#copyProjects();
    await linkModules(tree.root);
    // The gate of texts asks git which files belong to the project.
    execFileSync('git', ['init', '--quiet'], { cwd: tree.root });
    return tree;
  }

  /** The projects that `tsc -b` knows and that have a file here. */
  async #copyProjects(): Promise<void> {
    const text = await readFile(join(checkout, 'tsconfig.json'), 'utf8');
    const { references, ...solution } = JSON.parse(text) as { references: { path: string }[] };
    const here = references.filter(({ path }) => Object.keys(CLEAN).some((file) => file.startsWith(`${path}/`)));
    for (const { path } of here) await cp(join(checkout, path, 'tsconfig.json'), join(this.root, path, 'tsconfig.json'));
    await this.plant({ 'tsconfig.json': json({ ...solution, references: here }) });
  }

  async plant(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(this.root, path)), { recursive: true });
      await writeFile(join(this.root, path), text);
    }
  }

  run(script: string, ...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      execFile(process.execPath, [script, ...args], { cwd: this.root, maxBuffer: 1 << 26, env: UNCOLOURED }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
      });
    });
  }

  check(...gates: string[]): Promise<Ran> {
    return this.run('.ci/check.mjs', ...gates);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
