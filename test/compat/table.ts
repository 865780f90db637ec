import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CHECKOUT } from './install.js';
import { FIRST_NODES, type Cell } from './matrix.js';

const run = promisify(execFile);

/** What was run, with the versions that were installed. */
export interface Row {
  readonly door: string;
  readonly nest: string;
  readonly node: string;
  readonly tools: string;
}

const START = '<!-- matrix: written by npm run test:compat -->';
const END = '<!-- /matrix -->';

/** Types of a tool tell nothing. */
const isTold = (tool: string): boolean => !tool.startsWith('@types/');

export async function rowOf({ door }: Cell, directory: string, node: string, tools: readonly string[]): Promise<Row> {
  const versionOf = async (name: string): Promise<string> => {
    const manifest = JSON.parse(await readFile(join(directory, 'node_modules', name, 'package.json'), 'utf8')) as { version: string };
    return manifest.version;
  };
  const { stdout } = await run(node, ['--version']);
  const told = tools.filter(isTold).map(async (tool) => `${tool.replace(/^typescript-.*/, 'typescript')} ${await versionOf(tool)}`);
  return { door, nest: await versionOf('@nestjs/core'), node: stdout.trim().slice(1), tools: (await Promise.all(told)).join(', ') };
}

/** Writes the table of the page: what was tried now, if it worked, and the rows of the other cells as they were. */
export async function writeTable(page: string, matrix: readonly Cell[], tried: ReadonlyMap<Cell, Row | undefined>): Promise<void> {
  const before = await rowsOf(page);
  const nodes = new Map<string, string[]>();
  for (const cell of matrix) {
    const row = tried.has(cell) ? tried.get(cell) : before.find((known) => isRowOf(known, cell));
    if (!row) continue;
    const key = `| ${row.nest} | ${row.door} | ${row.tools} |`;
    nodes.set(key, [...(nodes.get(key) ?? []), row.node]);
  }
  const lines = [...nodes].map(([key, versions]) => `${key} ${versions.join(', ')} |`);
  const table = ['| NestJS | application | with | Node.js |', '| --- | --- | --- | --- |', ...lines].join('\n');
  const [head, tail] = await around(page);
  await writeFile(page, `${head}${START}\n\n${table}\n\n${END}${tail}`);
  await run(process.execPath, [join(CHECKOUT, 'node_modules/prettier/bin/prettier.cjs'), '--write', page], { cwd: CHECKOUT });
}

/** The rows of the table, one for each version of Node. */
export async function rowsOf(page: string): Promise<Row[]> {
  const [, , table] = await around(page);
  return table.split('\n').flatMap((line) => {
    const [, nest, door, tools, nodes] = line.split('|').map((field) => field.trim());
    if (nest === undefined || door === undefined || tools === undefined || nodes === undefined) return [];
    return nodes.split(', ').map((node) => ({ nest, door, tools, node }));
  });
}

export function isRowOf(row: Row, { door, nest, node }: Cell): boolean {
  const isFirst = FIRST_NODES.some((version) => version === row.node);
  const isNode = isFirst ? row.node === node : row.node.startsWith(`${node}.`);
  return row.door === door && isNode && row.nest.startsWith(`${nest}.`);
}

/** The page before the marks, after them, and between. */
async function around(page: string): Promise<[string, string, string]> {
  const text = await readFile(page, 'utf8');
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`${page} has no marks for the matrix`);
  return [text.slice(0, start), text.slice(end + END.length), text.slice(start + START.length, end)];
}
