/** A major of Nest, as a user asks npm for it. */
export type Nest = '10.4' | '11' | '12';
/** The first versions of Node.js that load ES modules with `require` and print no warning. */
export const FIRST_NODES = ['20.19.0', '22.13.0'] as const;
/** Node.js that runs an application: a version, the newest of a major, or the one that runs the tests. */
type NodeVersion = (typeof FIRST_NODES)[number] | '22' | '24' | '26' | 'installed';

/** The packages of an application beside Nest's own: what `nest new` of that time installs, and the tools of the doors. */
const VERSIONS: Readonly<Record<Nest, Readonly<Record<string, string>>>> = {
  '10.4': { '@nestjs/cli': '10.4', '@swc/cli': '0.5', jest: '29', '@types/jest': '29', typescript: '5.9', '@types/node': '20' },
  '11': { '@nestjs/cli': '11', '@swc/cli': '0.7', jest: '30', '@types/jest': '30', vitest: '5', typescript: '5.9', '@types/node': '22' },
  '12': { '@nestjs/cli': '12', '@swc/cli': '0.8', jest: '30', '@types/jest': '30', vitest: '4', typescript: '6.0', '@types/node': '24' },
};
const TOOLS: Readonly<Record<string, string>> = {
  'ts-jest': '29',
  '@swc/core': '1',
  '@swc/jest': '0.2',
  'unplugin-swc': '2',
  'ts-loader': '9',
  webpack: '5',
  '@rspack/core': '2',
  'webpack-node-externals': '3',
  'tsconfig-paths-webpack-plugin': '4',
  'fork-ts-checker-webpack-plugin': '9',
};

/** What npm is asked for. `typescript-5.1` is TypeScript of that version beside the application's own. */
export function specifier(nest: Nest, tool: string): string {
  const compiler = /^typescript-(.+)$/.exec(tool);
  if (compiler) return `${tool}@npm:typescript@${compiler[1]}`;
  return `${tool}@${VERSIONS[nest][tool] ?? TOOLS[tool] ?? nest}`;
}

/** One application: how it is built or tested, with which Nest, on which Node. */
export interface Cell {
  readonly nest: Nest;
  readonly door: string;
  readonly node: NodeVersion;
}

const on = (nest: Nest, door: string, ...nodes: NodeVersion[]): Cell[] => nodes.map((node) => ({ nest, door, node }));

/** The matrix: every value of each dimension, in pairs that occur. It takes some minutes: `npm run test:compat`. */
export const MATRIX: readonly Cell[] = [
  ...on('10.4', 'nest build, CommonJS (classic)', '20.19.0', '22'),
  ...on('10.4', 'nest build -b swc, CommonJS', '20.19.0'),
  ...on('10.4', 'nest build -b webpack, CommonJS', '22'),
  ...on('10.4', 'tsc, CommonJS (nodenext)', '20.19.0'),
  ...on('10.4', 'tsc, ES modules', '22'),
  ...on('10.4', 'ts-jest, CommonJS', '20.19.0', '22'),
  ...on('10.4', '@swc/jest, CommonJS', '20.19.0'),
  ...on('10.4', 'types, TypeScript 5.1, CommonJS (classic)', '20.19.0'),

  ...on('11', 'nest build, CommonJS (nodenext)', '20.19.0', '22.13.0', '22', '24', '26'),
  ...on('11', 'nest build -b swc, CommonJS', '24'),
  ...on('11', 'nest build -b webpack, CommonJS', '22'),
  ...on('11', 'tsc, CommonJS (classic)', '20.19.0'),
  ...on('11', 'tsc, CommonJS (nodenext)', '22'),
  ...on('11', 'tsc, ES modules', '24'),
  ...on('11', 'ts-jest, CommonJS', '20.19.0', '22', '24', '26'),
  ...on('11', '@swc/jest, CommonJS', '20.19.0', '24'),
  ...on('11', 'ts-jest, CommonJS, modules as they are', '24', '26'),
  ...on('11', 'ts-jest, ES modules', '22'),
  ...on('11', '@swc/jest, ES modules', '24'),
  ...on('11', 'Vitest with unplugin-swc', '22', '24'),
  ...(['5.1', '5.2', '5.3', '5.4', '5.5', '5.6', '5.7', '5.8', '5.9', '6.0', '7.0'] as const).flatMap((version) => [
    ...on('11', `types, TypeScript ${version}, ES modules`, '24'),
    ...(version < '5.8' ? [] : on('11', `types, TypeScript ${version}, CommonJS (nodenext)`, '24')),
    ...(version > '6.0' ? [] : on('11', `types, TypeScript ${version}, CommonJS (classic)`, '24')),
  ]),

  ...on('12', 'nest build, ES modules', '20.19.0', '22', '24', '26'),
  ...on('12', 'nest build -b swc, ES modules', '24'),
  ...on('12', 'nest build -b rspack, ES modules', '24'),
  ...on('12', 'nest build -b webpack, CommonJS', '22'),
  ...on('12', 'tsc, CommonJS (nodenext)', '20.19.0', '26'),
  ...on('12', 'ts-jest, CommonJS, modules as they are', '24'),
  ...on('12', 'ts-jest, ES modules', '22'),
  ...on('12', '@swc/jest, ES modules', '20.19.0', '24'),
  ...on('12', 'Vitest', '24', '26'),
  ...on('12', 'Vitest with unplugin-swc', '22'),
  ...on('12', 'types, TypeScript 5.9, ES modules', '24'),
  ...on('12', 'types, TypeScript 7.0, ES modules', '24'),
];

/** The short form, a part of `npm test`. */
export const SHORT: readonly Cell[] = [
  ...on('10.4', 'tsc, CommonJS (nodenext)', 'installed'),
  ...on('10.4', 'tsc, CommonJS (classic)', 'installed'),
  ...on('10.4', 'tsc, ES modules', 'installed'),
  ...on('11', 'tsc, CommonJS (nodenext)', 'installed'),
  ...on('11', 'tsc, CommonJS (classic)', 'installed'),
  ...on('11', 'tsc, ES modules', 'installed'),
  ...on('11', 'ts-jest, CommonJS', 'installed'),
  ...on('11', '@swc/jest, CommonJS', 'installed'),
  ...on('11', 'types, TypeScript 5.1, ES modules', 'installed'),
];
