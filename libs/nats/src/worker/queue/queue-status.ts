import { leaseOf, pausedUntil } from '@loopstack/operations';
import { monotonicMs } from '@loopstack/shared';
import type { ConsumerRuntime } from '../../consume/consumer-runtime.js';
import type { Lane } from './lane.js';
import type { WorkflowConsumer } from '../workflow-consumer.js';

/** When the oldest queued run of each workflow was published. Asks the server what is queued behind what was delivered. */
export class QueueStatus {
  readonly #runtime: ConsumerRuntime;

  constructor(runtime: ConsumerRuntime) {
    this.#runtime = runtime;
  }

  /**
   * Per workflow with queued runs, by the server's clock, in milliseconds since the epoch.
   * @throws JetStreamApiError
   */
  async queuedSince(consumers: readonly WorkflowConsumer[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const look = async ({ runner, lanes }: WorkflowConsumer): Promise<void> => {
      const oldest = await Promise.all(lanes.map((lane) => this.#oldest(lane)));
      const times = oldest.filter((time) => time !== undefined);
      if (times.length > 0) found.set(`${runner.entry.workspace}.${runner.entry.workflow}`, Math.min(...times));
    };
    await Promise.all(consumers.map(look));
    return found;
  }

  async #oldest(lane: Lane): Promise<number | undefined> {
    const { api, options } = this.#runtime;
    const { waitingSinceMs, desired, target, backlog } = lane;
    const nowMs = monotonicMs();
    if (backlog.isKnownEmpty(nowMs) && lane.pausedUntil === undefined) return waitingSinceMs;
    const info = await api.consumerInfo(target.stream, target.durable);
    const { num_pending: pending, delivered, config } = info;
    lane.applyState({ leaseMs: leaseOf(config), pausedUntil: pausedUntil(info) });
    backlog.counted(pending, nowMs);
    if (waitingSinceMs !== undefined || pending === 0) return waitingSinceMs;
    const subjects = desired.priorities.map((priority) => options.names.run(desired.address, priority));
    const next = await Promise.all(
      subjects.map((subject) => api.get(target.stream, { next: subject, sequence: delivered.stream_seq + 1 })),
    );
    return Math.min(...next.map((message) => message?.timeMs ?? api.clock.nowMs()));
  }
}
