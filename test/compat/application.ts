import { execFile, spawn } from 'node:child_process';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Door, Role } from './doors.js';

const SOURCES = fileURLToPath(new URL('application', import.meta.url));

interface Ended {
  readonly code: number | string | null;
  readonly output: string;
}

let prefixes = 0;

/** Nest 10 warns where a machine was too slow to hash a module. */
const told = (output: string): string => output.replaceAll(/^.*\[ModuleTokenFactory\].*\n/gm, '').trim();

/** One project with the application in it, beside others of the same Nest. */
export class Application {
  readonly directory: string;
  readonly door: Door;
  #made: Promise<void> | undefined;

  constructor(directory: string, door: Door) {
    this.directory = directory;
    this.door = door;
  }

  /** Writes the project, which shares the installed packages with its neighbors. */
  async write(): Promise<void> {
    const { type, tsconfig, files = {} } = this.door;
    await cp(SOURCES, join(this.directory, 'src'), { recursive: true });
    if (type === 'commonjs') await this.#dropExtensions();
    const all = {
      'package.json': JSON.stringify({ private: true, type }),
      'tsconfig.json': JSON.stringify({ compilerOptions: tsconfig, exclude: ['node_modules', 'dist', '**/*.spec.ts'] }),
      ...files,
    };
    for (const [name, text] of Object.entries(all)) await writeFile(join(this.directory, name), text);
    await symlink('../node_modules', join(this.directory, 'node_modules'), 'dir');
  }

  /** CommonJS of TypeScript imports './app.module', as `nest new` writes it. */
  async #dropExtensions(): Promise<void> {
    for (const name of ['main.ts', 'app.spec.ts']) {
      const file = join(this.directory, 'src', name);
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace("'./app.module.js'", "'./app.module'"));
    }
  }

  /** Runs the command of the door, which must succeed. Errors in the declarations of other packages than ours are theirs. */
  async command(node: string, env: Readonly<Record<string, string>>): Promise<void> {
    const [script, ...args] = this.door.command as [string, ...string[]];
    const { code, output } = await this.#run(node, [join('node_modules', script), ...args], env);
    const isTypeCheck = script.startsWith('typescript-');
    const said = output
      .split('\n')
      .filter((line) => !isTypeCheck || (/error TS/.test(line) && !/node_modules\/(?!@loopstack\/)/.test(line)));
    if (isTypeCheck ? said.length > 0 : code !== 0) throw new Error(said.join('\n'));
  }

  /** Like `command`, once and by the Node.js of the tests: the program stays, and the tools of others need not run on every version. */
  make(): Promise<void> {
    return (this.#made ??= this.command(process.execPath, {}));
  }

  /** All that the program says in that role until it ends; a service is told to stop when it has said `last`. */
  async program(node: string, role: Role, last: string, env: Readonly<Record<string, string>>): Promise<Ended> {
    const own = { ...env, ROLE: role };
    if (role !== 'service') return this.#run(node, ['dist/main.js'], own);
    const child = spawn(node, ['dist/main.js'], { cwd: this.directory, env: this.#env(own), timeout: 60_000, killSignal: 'SIGKILL' });
    let output = '';
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes(last)) child.kill('SIGTERM');
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code: signal ?? code, output: told(output) })));
  }

  #run(node: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(node, args, { cwd: this.directory, env: this.#env(env), timeout: 120_000 }, (error, stdout, stderr) => {
        resolve({ code: error ? (error.code ?? null) : 0, output: told(`${stdout}${stderr}`) });
      });
    });
  }

  #env(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
    const PREFIX = `compat${++prefixes}`;
    return { PATH: process.env['PATH'], NODE_OPTIONS: this.door.nodeOptions ?? '', PREFIX, ...env };
  }
}
