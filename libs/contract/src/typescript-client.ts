import { ALSO_TAKEN, type CatalogueEntry } from '@loopstack/shared/contract';
import type { Options } from 'json-schema-to-typescript';
import { payloadOf, sorted } from './payload.js';

const RESERVED = new Set(
  (
    'any as async await boolean break case catch class const continue debugger declare default delete do else enum export extends false ' +
    'finally for from function get if implements import in instanceof interface let module namespace never new null number object of ' +
    'package private protected public return set static string super switch symbol this throw true try type typeof undefined unknown ' +
    'var void while with yield'
  ).split(' '),
);

const OPTIONS: Partial<Options> = {
  bannerComment: '',
  additionalProperties: true,
  // Tuples of a hundred lengths say no more than an array.
  ignoreMinAndMaxItems: true,
  unknownAny: true,
  style: { singleQuote: true, printWidth: 120 },
  $refOptions: { resolve: { external: false } },
};

/** A name as an identifier. Injective: names have no `$`. */
function identifier(name: string): string {
  if (RESERVED.has(name)) return `$r${name}`;
  return name.replaceAll('-', '$d').replace(/^(?=\d)/, '$n');
}

/** Text for a comment, which it must not end. */
const comment = (text: string): string => text.replaceAll('*/', '* /').replace(/\s+/g, ' ');

const indented = (text: string, by: number): string => text.trimEnd().replace(/^(?=.)/gm, ' '.repeat(by));

/**
 * Source of a typed client: the payload types of all workflows, and `workflows(client)` that starts them through
 * `@loopstack/client`. It needs no code of the workers.
 * @throws LoopstackError NAME_INVALID, OPTION_INVALID for a catalogue that no worker has written
 */
export async function typescriptClient(entries: readonly CatalogueEntry[]): Promise<string> {
  const workspaces = new Map<string, CatalogueEntry[]>();
  for (const entry of sorted(entries)) workspaces.set(entry.workspace, [...(workspaces.get(entry.workspace) ?? []), entry]);
  const types: string[] = [];
  const functions: string[] = [];
  for (const [workspace, workflows] of workspaces) {
    const inner = await Promise.all(workflows.map(typesOf));
    types.push(`  export namespace ${identifier(workspace)} {\n${inner.join('\n')}\n  }`);
    functions.push(`    ${identifier(workspace)}: {\n${workflows.map(functionOf).join('\n')}\n    },`);
  }
  return [HEAD, 'export declare namespace Payloads {', ...types, '}\n', START, ...functions, '  };', '}\n'].join('\n');
}

const HEAD = `// Written by \`loopstack contract --typescript\` from the catalogue of the workers. Do not edit: write it again.
import type { LoopstackClient } from '@loopstack/client';

/** A run whose command the server has stored. */
export type Run<Result = unknown> = Awaited<ReturnType<typeof LoopstackClient.prototype.run<Result>>>;
export type RunOptions = NonNullable<Parameters<LoopstackClient['run']>[4]>;

/** What each workflow takes. */`;

const START = `/** Starts runs of the workflows that the workers serve. What a workflow returns is not in the catalogue: say it as \`Result\`. */
export function workflows(client: Pick<LoopstackClient, 'run'>) {
  return {`;

async function typesOf(entry: CatalogueEntry): Promise<string> {
  const { schema, definitions } = payloadOf(entry);
  const head = `    export namespace ${identifier(entry.workflow)} {`;
  if (!entry.payload) return `${head}\n      export type Payload = unknown;\n    }`;
  // Only a command that generates needs it: it brings a formatter along.
  const { compile } = await import('json-schema-to-typescript');
  const root = { ...schema, title: 'Payload', $defs: definitions };
  return `${head}\n${indented(await compile(speakable(root) as never, 'Payload', OPTIONS), 6)}\n    }`;
}

/** Descriptions become comments. Alternatives that are there only for leniency, and limits of texts, are not part of a type. */
function speakable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(speakable);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]: [string, unknown]) => {
      if ((key === 'description' || key === 'title') && typeof value === 'string') return [[key, value.replaceAll('*/', '* /')]];
      if (key !== 'anyOf' || !Array.isArray(value)) return [[key, speakable(value)]];
      const alternatives = value.filter((one: { readonly $comment?: unknown } | null) => one?.$comment !== ALSO_TAKEN);
      return alternatives.some(isLimit) ? [] : [[key, speakable(alternatives)]];
    }),
  );
}

const isLimit = (schema: unknown): boolean =>
  typeof schema === 'object' && schema !== null && Object.keys(schema).every((keyword) => keyword === 'maxLength' || keyword === 'pattern');

function functionOf(entry: CatalogueEntry): string {
  const { workspace, workflow, title, description } = entry;
  const said = [title, description].filter((text) => text !== undefined).map(comment);
  const { needed } = payloadOf(entry);
  const type = `Payloads.${identifier(workspace)}.${identifier(workflow)}.Payload`;
  return [
    ...(said.length === 0 ? [] : [`      /** ${said.join('. ')} */`]),
    `      ${identifier(workflow)}: <Result = unknown>(payload: ${needed ? type : `${type} | undefined`}, userId: string, options?: RunOptions): Promise<Run<Result>> =>`,
    `        client.run<Result>('${workflow}', '${workspace}', payload, userId, options),`,
  ].join('\n');
}
