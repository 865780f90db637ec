import { wireNames, type CatalogueEntry, type JsonSchema } from '@loopstack/shared/contract';
import { asyncApi } from './asyncapi.js';
import { jsonSchemas } from './json-schemas.js';
import { typescriptClient } from './typescript-client.js';

const entry = (over: Partial<CatalogueEntry> = {}): CatalogueEntry => ({
  workspace: 'Orders',
  workflow: 'Process',
  attempts: 5,
  timeoutMs: 1000,
  priorities: false,
  ...over,
});

const withPayload = (payload: JsonSchema): CatalogueEntry => entry({ payload });

const nested = withPayload({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { lines: { type: 'array', items: { $ref: '#/$defs/Line$1' } } },
  $defs: { Line$1: { type: 'object', properties: { next: { $ref: '#/$defs/Line$1' } } } },
});

/** All references in a document that lead nowhere. */
function dangling(document: object): string[] {
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]*)"/g)].map(([, path]) => path as string);
  return refs.filter(
    (path) => path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document) === undefined,
  );
}

describe('an AsyncAPI document', () => {
  it('has a target for every reference, also of a schema that refers to itself', () => {
    const document = asyncApi([nested], wireNames());
    expect(dangling(document)).toEqual([]);
    expect(Object.keys(document.components.schemas)).toContain('Orders.Process.Line-24-1');
  });

  it('uses the prefix, and names the durables of each priority', () => {
    const { channels, operations } = asyncApi([entry({ priorities: true })], wireNames('shop'));
    expect(channels['Orders.Process.run']).toMatchObject({ address: 'shop.run.Orders.Process', 'x-jetstream': { stream: 'SHOP_RUNS' } });
    expect(operations['Orders.Process.receiveRun']).toMatchObject({
      'x-jetstream': { durables: ['Orders~Process~high', 'Orders~Process', 'Orders~Process~low'] },
    });
  });

  it('has the same version for the same catalogue, in any order, and another one for another', () => {
    const version = (...entries: CatalogueEntry[]): unknown => asyncApi(entries, wireNames()).info['version'];
    const other = entry({ workflow: 'Ship' });
    expect(version(entry(), other)).toBe(version(other, entry()));
    expect(version(entry({ timeoutMs: 1 }), other)).not.toBe(version(entry(), other));
  });
});

describe('a typed client', () => {
  it('has an identifier for every name', async () => {
    const source = await typescriptClient([
      entry({ workspace: 'default', workflow: '2nd-try' }),
      entry({ workspace: 'a-b', workflow: 'class' }),
    ]);
    expect(source).toContain('export namespace $rdefault');
    expect(source).toContain("client.run<Result>('2nd-try', 'default'");
    expect(source).toContain('$n2nd$dtry:');
    expect(source).toContain('Payloads.a$db.$rclass.Payload');
  });

  it('lets no text of the catalogue out of its comments, and none in as code', async () => {
    const source = await typescriptClient([
      entry({
        title: 'a */ evil() /*',
        payload: { type: 'object', description: '*/ evil() /*', properties: { a: { tsType: 'evil' }, tsType: { type: 'string' } } },
      }),
    ]);
    const code = source.replace(/\/\*[^]*?\*\//g, '');
    expect(source).toContain('* / evil()');
    expect(code).not.toContain('evil');
    expect(code).toContain('tsType?: string');
  });
});

describe('a catalogue that no worker has written', () => {
  const makers = {
    asyncApi: async (e: CatalogueEntry) => asyncApi([e], wireNames()),
    jsonSchemas: async (e: CatalogueEntry) => jsonSchemas([e]),
    typescriptClient: (e: CatalogueEntry) => typescriptClient([e]),
  };

  it.each(Object.entries(makers))('is refused by %s', async (_, make) => {
    await expect(make(entry({ workflow: '../../etc/passwd' }))).rejects.toMatchObject({ code: 'NAME_INVALID' });
    for (const $ref of ['file:///etc/passwd', 'http://127.0.0.1/', '#/other', 7]) {
      await expect(make(withPayload({ type: 'object', properties: { a: { $ref } } }))).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    }
  });
});
