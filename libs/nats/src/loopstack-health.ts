import { Inject, Injectable } from '@nestjs/common';
import type { NatsConnection } from 'nats';
import { NATS_CONNECTION } from './connection.js';
import { FanOut } from './events/fan-out.js';
import type { HealthResult } from './health.js';
import type { ResolvedNatsOptions } from './options.js';
import { NATS_OPTIONS } from './tokens.js';
import { Worker } from './worker.js';

/** Health of the worker, in the shape of Terminus indicators: `health.check([() => loopstackHealth.ready()])`. */
@Injectable()
export class LoopstackHealth {
  constructor(
    @Inject(NATS_CONNECTION) private readonly nc: NatsConnection,
    @Inject(NATS_OPTIONS) private readonly options: ResolvedNatsOptions,
    private readonly worker: Worker,
    private readonly fanOut: FanOut,
  ) {}

  /** Up while the process can do anything at all: a connection that is closed for good never comes back. */
  live<Key extends string = 'loopstack'>(key: Key = 'loopstack' as Key): HealthResult<Key> {
    return { [key]: this.nc.isClosed() ? { status: 'down', reason: 'the connection is closed' } : { status: 'up' } } as HealthResult<Key>;
  }

  /** Up if connected, every consumer answers, nothing stalls, and no alarm is raised. */
  async ready<Key extends string = 'loopstack'>(key: Key = 'loopstack' as Key): Promise<HealthResult<Key>> {
    const problems = [...this.worker.alarms.raised.values()];
    if (this.nc.isClosed()) problems.push('the connection is closed');
    else if (!(await this.connected())) problems.push('the server does not answer');
    const { running, workflows } = this.worker.state();
    const now = Date.now();
    for (const flow of workflows) {
      const name = `${flow.workspace}.${flow.workflow}`;
      if (!flow.consuming) problems.push(`${name}: the consumer does not answer`);
      if (flow.refusal !== undefined) problems.push(`${name}: the server refuses to deliver: ${flow.refusal}`);
      const stalledMs = now - flow.lastSettledMs;
      if (flow.pending + flow.waiting > 0 && flow.active === 0 && stalledMs > this.options.stalledAfterMs)
        problems.push(`${name}: runs are queued and none has started for ${Math.round(stalledMs / 1000)} s`);
    }
    const { feeds, unused } = this.fanOut.state();
    for (const { title, consuming } of feeds) if (!consuming) problems.push(`${title}: the consumer does not answer`);
    const busy = workflows.filter((flow) => flow.active + flow.waiting + flow.pending > 0);
    const details = {
      running,
      workflows: workflows.length,
      busy: busy.map(({ workspace, workflow, active, waiting, pending }) => ({ workspace, workflow, active, queued: waiting + pending })),
      ...(feeds.length === 0 ? {} : { events: feeds.map(({ title, active, pending }) => ({ title, active, pending })) }),
      ...(unused.length === 0 ? {} : { unusedBindings: unused }),
    };
    return {
      [key]: problems.length > 0 ? { status: 'down', problems, ...details } : { status: 'up', ...details },
    } as unknown as HealthResult<Key>;
  }

  private async connected(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), 1000)));
    try {
      return await Promise.race([this.nc.flush().then(() => true), silence]);
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
