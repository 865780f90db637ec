import {
  catalogueKey,
  checkableSchema,
  decodeCatalogueEntry,
  isName,
  uncheckedText,
  type CatalogueEntry,
} from '@loopstack/shared/contract';
import { Command } from 'commander';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Cli, Invocation } from '../cli.js';
import { UsageError } from '../exit.js';
import { warn, type Session } from '../session.js';

interface Options {
  readonly out: string;
  readonly asyncapi?: boolean;
  readonly schemas?: boolean;
  readonly typescript?: boolean;
}

export function contractCommand(cli: Cli): Command {
  return new Command('contract')
    .description('write AsyncAPI, JSON Schemas and a typed client from the catalogue of the workers')
    .option('--out <dir>', 'output directory', 'contract')
    .option('--asyncapi', 'only the AsyncAPI 3 document, asyncapi.json')
    .option('--schemas', 'only the JSON Schemas of run commands, schemas/<workspace>.<workflow>.schema.json')
    .option('--typescript', 'only the typed client, workflows.ts')
    .action(cli.action<Options>(contract));
}

async function contract({ terminal, session, options }: Invocation<Options>): Promise<void> {
  const open = await session();
  const files = await filesOf(await describable(await catalogue(open), open), open, options);
  for (const [name, text] of Object.entries(files)) {
    const path = join(options.out, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const paths = Object.keys(files).map((name) => join(options.out, name));
  terminal.result({ files: paths }, paths.join('\n'));
}

/** The entries, without the parts of their schemas that cannot be checked: a wrong one must not keep the others from being written. */
async function describable(entries: readonly CatalogueEntry[], open: Session): Promise<readonly CatalogueEntry[]> {
  return Promise.all(
    entries.map(async (entry) => {
      if (entry.payload === undefined) return entry;
      const { schema, unchecked } = checkableSchema(entry.payload);
      if (unchecked.length > 0) warn(uncheckedText(unchecked, entry));
      const checkable = { ...entry, payload: schema };
      try {
        await filesOf([checkable], open, { out: '' });
        return checkable;
      } catch (error) {
        warn(uncheckedText([{ path: '', rule: 'schema', reason: `it cannot be described: ${(error as Error).message}` }], entry));
        const { payload: _, ...rest } = entry;
        return rest;
      }
    }),
  );
}

/** Texts by file name. */
async function filesOf(
  entries: readonly CatalogueEntry[],
  { names }: Session,
  { asyncapi = false, schemas = false, typescript = false }: Options,
): Promise<Record<string, string>> {
  // What only this command needs is not loaded for the others.
  const { asyncApi, jsonSchemas, typescriptClient } = await import('@loopstack/contract');
  const all = !asyncapi && !schemas && !typescript;
  const files: Record<string, string> = {};
  if (all || asyncapi) files['asyncapi.json'] = json(asyncApi(entries, names));
  if (all || schemas) for (const [name, schema] of Object.entries(jsonSchemas(entries))) files[join('schemas', name)] = json(schema);
  if (all || typescript) files['workflows.ts'] = await typescriptClient(entries);
  return files;
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** @throws UsageError where nothing is served */
async function catalogue({ deployment, names, api }: Session): Promise<readonly CatalogueEntry[]> {
  const stream = `KV_${names.catalogue}`;
  const entries: CatalogueEntry[] = [];
  if ((await deployment.stream(stream)) !== undefined) {
    const head = `$KV.${names.catalogue}.`;
    for await (const { subject, data } of api.scan(stream, `${head}>`)) {
      const entry = decodeCatalogueEntry(data);
      // A stranger's entry, or one that was deleted, is none.
      if (entry && isName(entry.workspace) && isName(entry.workflow) && catalogueKey(entry) === subject.slice(head.length))
        entries.push(entry);
    }
  }
  if (entries.length === 0) throw new UsageError('no worker has published a catalogue here', 'Start a worker, or check --prefix.');
  return entries;
}
