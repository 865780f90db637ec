import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from './install.js';
import type { Nest } from './matrix.js';

type Options = Readonly<Record<string, unknown>>;

/** How an application is made and used: the files of its project, and the programs to run in it. */
export interface Door {
  readonly type: 'module' | 'commonjs';
  /** Packages that it needs, by name. The first are named in the table. */
  readonly tools: readonly string[];
  readonly tsconfig: Options;
  /** Other files of the project. */
  readonly files?: Readonly<Record<string, string>>;
  /** A command of the project: a file in `node_modules`, and its arguments. */
  readonly command: readonly string[];
  readonly nodeOptions?: string;
  /** How the program that the command made is run. Absent: the command itself tests the application. */
  readonly roles?: readonly Role[];
}
export type Role = 'hybrid' | 'service' | 'worker' | 'producer';

const COMMON = {
  target: 'es2022',
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  skipLibCheck: true,
  types: ['node'],
  outDir: 'dist',
};
/** As `nest new` writes it: strict of late, and every file compiled alone. */
const NODENEXT = {
  ...COMMON,
  module: 'nodenext',
  moduleResolution: 'nodenext',
  esModuleInterop: true,
  isolatedModules: true,
  strict: true,
};
const CLASSIC = { ...COMMON, module: 'commonjs', moduleResolution: 'node10', strict: true };
/** Declarations are checked, too. */
const TYPES = { skipLibCheck: false, noEmit: true };

const BUILT: readonly Role[] = ['hybrid', 'service'];
const ALL: readonly Role[] = ['hybrid', 'service', 'worker', 'producer'];

/** A block of JSON in the section of docs/compatibility.md with this title: what users are told to write is what is tested. */
function documented(title: string): string {
  const page = readFileSync(join(CHECKOUT, 'docs/compatibility.md'), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  const block = section && /```json\n([^]*?)```/.exec(section)?.[1];
  if (block === undefined) throw new Error(`docs/compatibility.md has no JSON under "${title}"`);
  return block;
}

const tsc = (type: Door['type'], tsconfig: Options, roles: readonly Role[]): Door => ({
  type,
  tools: ['typescript'],
  tsconfig: { ...tsconfig, rootDir: 'src' },
  command: ['typescript/bin/tsc', '-p', '.'],
  roles,
});

/** As `nest new` sets it up: Nest 10 for classic CommonJS, Nest 12 with its sources named. */
function nestBuild(nest: Nest, builder: string, type: Door['type'], tools: readonly string[]): Door {
  const sources = nest === '12' ? { compilerOptions: { rootDir: './src' }, include: ['src'] } : {};
  const files = {
    'nest-cli.json': JSON.stringify({ sourceRoot: 'src', compilerOptions: { deleteOutDir: true } }),
    'tsconfig.build.json': JSON.stringify({ extends: './tsconfig.json', ...sources, exclude: ['node_modules', 'dist', '**/*spec.ts'] }),
  };
  const command = ['@nestjs/cli/bin/nest.js', 'build', '-b', builder];
  return {
    type,
    tools: ['@nestjs/cli', ...tools, 'typescript'],
    tsconfig: nest === '10.4' ? CLASSIC : NODENEXT,
    files,
    command,
    roles: BUILT,
  };
}

/** What `nest new` writes into package.json, with changes. */
const jestConfig = (changes: object): string =>
  JSON.stringify({
    moduleFileExtensions: ['js', 'json', 'ts'],
    rootDir: 'src',
    testRegex: '.*\\.spec\\.ts$',
    transform: { '^.+\\.(t|j)s$': 'ts-jest' },
    testEnvironment: 'node',
    ...changes,
  });
const SWCRC = { parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true, decoratorMetadata: true } };
const SWC_FILES = { '.swcrc': JSON.stringify({ sourceMaps: true, jsc: { target: 'es2022', keepClassNames: true, ...SWCRC } }) };

function jest(type: Door['type'], transformer: 'ts-jest' | '@swc/jest', changes: () => object, nodeOptions = ''): Door {
  const transform = { '^.+\\.(t|j)s$': transformer };
  return {
    type,
    tools: [transformer, 'jest', ...(transformer === '@swc/jest' ? ['@swc/core'] : []), 'typescript', '@types/jest'],
    tsconfig: { ...NODENEXT, rootDir: '.', types: ['node', 'jest'] },
    files: { ...SWC_FILES, 'jest.config.json': jestConfig({ transform, ...changes() }) },
    command: ['jest/bin/jest.js', '--config', 'jest.config.json'],
    nodeOptions,
  };
}

const settings = (title: string): object => JSON.parse(`{${documented(title)}}`) as object;
const commonJs = (): object => settings('Jest in CommonJS');
const esModules = (): object => settings('Jest in ES modules, and Vitest');
const VM_MODULES = '--experimental-vm-modules';

const vitest = (plugins: string, tools: readonly string[]): Door => ({
  type: 'module',
  tools: ['vitest', ...tools, 'typescript'],
  tsconfig: NODENEXT,
  files: {
    'vitest.config.mjs': `import swc from 'unplugin-swc';
export default { plugins: [${plugins}], test: { globals: true, root: './', include: ['**/*.spec.ts'] } };`.slice(plugins === '' ? 31 : 0),
  },
  command: ['vitest/vitest.mjs', 'run'],
});

const DOORS: Readonly<Record<string, (nest: Nest) => Door>> = {
  'tsc, ES modules': () => tsc('module', NODENEXT, BUILT),
  'tsc, CommonJS (nodenext)': () => tsc('commonjs', NODENEXT, ALL),
  'tsc, CommonJS (classic)': () => tsc('commonjs', CLASSIC, BUILT),
  'nest build, ES modules': (nest) => nestBuild(nest, 'tsc', 'module', []),
  'nest build, CommonJS (nodenext)': (nest) => nestBuild(nest, 'tsc', 'commonjs', []),
  'nest build, CommonJS (classic)': (nest) => nestBuild(nest, 'tsc', 'commonjs', []),
  'nest build -b swc, ES modules': (nest) => nestBuild(nest, 'swc', 'module', ['@swc/core', '@swc/cli']),
  'nest build -b swc, CommonJS': (nest) => nestBuild(nest, 'swc', 'commonjs', ['@swc/core', '@swc/cli']),
  'nest build -b webpack, CommonJS': (nest) =>
    nestBuild(nest, 'webpack', 'commonjs', [
      'webpack',
      'ts-loader',
      'webpack-node-externals',
      'tsconfig-paths-webpack-plugin',
      'fork-ts-checker-webpack-plugin',
    ]),
  'nest build -b rspack, ES modules': (nest) =>
    nestBuild(nest, 'rspack', 'module', ['@rspack/core', 'webpack-node-externals', 'tsconfig-paths-webpack-plugin']),
  'ts-jest, CommonJS': () => jest('commonjs', 'ts-jest', commonJs),
  '@swc/jest, CommonJS': () => jest('commonjs', '@swc/jest', commonJs),
  'ts-jest, CommonJS, modules as they are': () => jest('commonjs', 'ts-jest', () => ({}), VM_MODULES),
  'ts-jest, ES modules': () => jest('module', 'ts-jest', esModules, VM_MODULES),
  '@swc/jest, ES modules': () =>
    jest('module', '@swc/jest', () => ({ ...esModules(), transform: { '^.+\\.ts$': '@swc/jest' } }), VM_MODULES),
  Vitest: () => vitest('', []),
  'Vitest with unplugin-swc': () => vitest("swc.vite({ module: { type: 'es6' } })", ['unplugin-swc', '@swc/core']),
};

/** The door of that name. `types, …` only type-checks the application, by a compiler of its own. */
export function door(name: string, nest: Nest): Door {
  const checked = /^types, TypeScript ([\d.]+), (ES modules|CommonJS) ?(\((?:nodenext|classic)\))?$/.exec(name);
  if (!checked) return (DOORS[name] as (nest: Nest) => Door)(nest);
  const [, version, form, style] = checked;
  const silent = version === '6.0' && style === '(classic)' ? { ignoreDeprecations: '6.0' } : {};
  const declarations = nest === '10.4' ? { noEmit: true } : TYPES;
  return {
    type: form === 'ES modules' ? 'module' : 'commonjs',
    tools: [`typescript-${version}`],
    tsconfig: { ...(style === '(classic)' ? CLASSIC : NODENEXT), ...declarations, ...silent },
    command: [`typescript-${version}/bin/tsc`, '-p', '.'],
  };
}
