import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNatsServer, type NatsServer } from '@loopstack/nats-server';
import { Application } from './application.js';
import { door } from './doors.js';
import { CHECKOUT, install, nodeOf, pack } from './install.js';
import { MATRIX, SHORT, specifier, type Cell, type Nest } from './matrix.js';
import { isRowOf, rowOf, rowsOf, writeTable, type Row } from './table.js';

const PAGE = join(CHECKOUT, 'docs/compatibility.md');
const PACKAGES = ['shared', 'jetstream', 'client', 'operations', 'core', 'nats', 'testing'];
const LIBRARIES = ['reflect-metadata@0.2', 'rxjs@7', 'class-validator@0.15', 'class-transformer@0.5'];

/** `npm run test:compat` runs the whole matrix, or what `-t` says, and writes what worked into the table of the page. */
const isWhole = process.env['LOOPSTACK_COMPAT'] === 'all';
const cells = isWhole ? MATRIX : SHORT;
const nests = [...new Set(cells.map(({ nest }) => nest))];

const SEEN = 'shipped to Graz for u1\nevent {"n":1}, on-run';
/** What runs when the application closes ends before `onModuleDestroy`. */
const DRAINED = `${SEEN}\npacking, packed, disconnected`;
const EXPECTED = {
  hybrid: { code: 0, output: DRAINED },
  service: { code: 'SIGTERM', output: SEEN },
  worker: { code: 0, output: DRAINED },
  producer: { code: 0, output: 'ShipOrder' },
};

let temporary: string;
let server: NatsServer;
let packs: string[];
/** What was tried, and its row if it worked. */
const tried = new Map<Cell, Row | undefined>();

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'loopstack-compat-'));
  packs = await pack(join(temporary, 'packs'), PACKAGES);
  server = await startNatsServer();
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await rm(temporary, { recursive: true, force: true });
});

/** A folder outside the checkout with what the applications of one Nest need. */
async function workshop(nest: Nest): Promise<string> {
  const directory = join(temporary, `nest-${nest}`);
  const doors = cells.filter((cell) => cell.nest === nest).map((cell) => door(cell.door, nest));
  const tools = new Set(['@types/node', ...doors.flatMap((each) => each.tools)]);
  const nestjs = ['common', 'core', 'microservices', 'platform-express', 'testing'].map((name) => `@nestjs/${name}@${nest}`);
  await install(directory, [...packs, ...nestjs, ...LIBRARIES, ...[...tools].map((tool) => specifier(nest, tool))]);
  return directory;
}

describe.each(nests)('an application of Nest %s', (nest) => {
  let directory: string;
  const applications = new Map<string, Application>();
  const application = async (name: string): Promise<Application> => {
    const known = applications.get(name);
    if (known) return known;
    const made = new Application(join(directory, name.replaceAll(/\W+/g, '-')), door(name, nest));
    await made.write();
    applications.set(name, made);
    return made;
  };
  beforeAll(async () => {
    directory = await workshop(nest);
  }, 400_000);

  const own = cells.filter((cell) => cell.nest === nest);
  it.each(own)(
    'works with $door on Node $node',
    async (cell: Cell) => {
      tried.set(cell, undefined);
      const node = cell.node === 'installed' ? process.execPath : await nodeOf(cell.node);
      const app = await application(cell.door);
      const env = { NATS_URL: server.url };
      const { roles = [], tools } = app.door;
      if (roles.length === 0) await app.command(node, env);
      else await app.make();
      for (const role of roles) expect({ role, ...(await app.program(node, role, SEEN, env)) }).toEqual({ role, ...EXPECTED[role] });
      tried.set(cell, await rowOf(cell, directory, node, tools));
    },
    240_000,
  );
});

describe('docs/compatibility.md', () => {
  it('lists every application of the matrix', async () => {
    if (isWhole) await writeTable(PAGE, MATRIX, tried);
    const rows = await rowsOf(PAGE);
    expect(MATRIX.filter((cell) => !rows.some((row) => isRowOf(row, cell)))).toEqual([]);
  });
});
