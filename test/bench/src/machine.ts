import { readServerInfo } from '@loopstack/nats-server';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import type { Lab } from './lab.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Load average over a minute when the run began: above the number of cores, others were at work. */
  readonly loadBefore: number;
}

export function machine(): Machine {
  const list = cpus();
  return {
    cpu: list[0]?.model ?? 'unknown',
    cores: list.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    loadBefore: Number((loadavg()[0] ?? 0).toFixed(1)),
  };
}

const require = createRequire(import.meta.url);

function versionOf(name: string): string {
  for (const directory of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(`${directory}/${name}/package.json`, 'utf8')) as { version: string }).version;
    } catch {
      // Further up, perhaps.
    }
  }
  return 'not installed';
}

const PACKAGES = [
  'nats',
  '@nestjs/core',
  'class-validator',
  'class-transformer',
  'bullmq',
  '@nestjs/bullmq',
  'ioredis',
  '@nestjs-plugins/nestjs-nats-jetstream-transport',
  '@horizon-republic/nestjs-jetstream',
];

export async function versions(lab: Lab): Promise<Readonly<Record<string, string>>> {
  return {
    node: process.versions.node,
    'nats-server': (await readServerInfo(lab.nats.url)).version,
    'redis-server': lab.redis?.version ?? 'not found',
    ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  };
}
