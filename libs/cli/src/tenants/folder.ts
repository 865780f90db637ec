import type { Tenant } from '@loopstack/shared/contract';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../exit.js';
import { FILES, INCLUDES, exportsText, indexText, mainText, parseTenant, tenantText, usersText, type Offer } from './configuration.js';

/** A folder with the configuration of a nats-server with tenants. */
export class TenantFolder {
  readonly #folder: string;
  readonly #offer: Offer;

  constructor(folder: string, offer: Offer) {
    this.#folder = folder;
    this.#offer = offer;
  }

  /** In the order of their names. */
  async list(): Promise<readonly Tenant[]> {
    const files = await readdir(join(this.#folder, dirname(FILES.index))).catch(() => []);
    const found: Tenant[] = [];
    for (const file of files.toSorted((a, b) => a.localeCompare(b))) {
      const tenant = parseTenant((await this.#read(join(dirname(FILES.index), file))) ?? '');
      if (tenant && file === basename(FILES.tenant(tenant.name))) found.push(tenant);
    }
    return found;
  }

  /** @throws UsageError where there is none of that name */
  async get(name: string): Promise<Tenant> {
    const found = (await this.list()).find((tenant) => tenant.name === name);
    if (!found) throw new UsageError(`${this.#folder} has no tenant ${name}`, 'See `loopstack tenant list`.');
    return found;
  }

  /**
   * Writes what is not as it should be; what an operator edits only where it is not there yet.
   * @param newUser the public NKey of its first user, asked for where it has no users yet
   * @returns the files that were written
   * @throws UsageError
   */
  async add(tenant: Tenant, newUser: () => Promise<string>): Promise<readonly string[]> {
    const others = (await this.list()).filter(({ name }) => name !== tenant.name);
    this.#assertName(tenant, others);
    await this.#assertMain();
    const written: string[] = [];
    const write = async (file: string, text: string): Promise<void> => {
      if ((await this.#read(file)) === text) return;
      const path = join(this.#folder, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      written.push(path);
    };
    if ((await this.#read(FILES.users(tenant.name))) === undefined)
      await write(FILES.users(tenant.name), usersText(tenant, await newUser()));
    await write(FILES.exports, exportsText(this.#offer));
    await write(FILES.tenant(tenant.name), tenantText(this.#offer, tenant));
    await write(FILES.index, indexText([...others, tenant].map(({ name }) => name)));
    // Last: it includes the others.
    if ((await this.#read(FILES.main)) === undefined) await write(FILES.main, mainText(this.#offer));
    return written;
  }

  /** @throws UsageError where there is none of that name */
  async remove(name: string): Promise<void> {
    await this.get(name);
    const left = (await this.list()).filter((tenant) => tenant.name !== name);
    await writeFile(join(this.#folder, FILES.index), indexText(left.map((tenant) => tenant.name)));
    await rm(join(this.#folder, FILES.tenant(name)));
    await rm(join(this.#folder, FILES.users(name)), { force: true });
  }

  #assertName({ name }: Tenant, others: readonly Tenant[]): void {
    const taken = (other: string): boolean => other.toLowerCase() === name.toLowerCase();
    if (taken(this.#offer.account))
      throw new UsageError(`${this.#offer.account} is the account of the workers`, 'Give the tenant another name.');
    if (['exports', 'index'].some(taken)) throw new UsageError(`a file here is called ${name}`, 'Give the tenant another name.');
    const twin = others.find((other) => taken(other.name));
    if (twin) throw new UsageError(`${twin.name} and ${name} would be one file on some disks`, 'Give the tenant another name.');
  }

  /** A main file that the user wrote or edited must include the files that are written here. */
  async #assertMain(): Promise<void> {
    const main = await this.#read(FILES.main);
    const missing = main === undefined ? [] : INCLUDES.filter((line) => !main.includes(line));
    if (missing.length > 0)
      throw new UsageError(
        `${join(this.#folder, FILES.main)} lacks ${missing.join(', ')}`,
        `Put ${INCLUDES[0]} into the account of the workers, and ${INCLUDES[1]} into accounts.`,
      );
  }

  #read(file: string): Promise<string | undefined> {
    return readFile(join(this.#folder, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new UsageError(`${join(this.#folder, file)} cannot be read: ${error.code ?? error.message}`);
    });
  }
}
