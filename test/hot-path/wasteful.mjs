// Preloaded into a process of the benchmark: a change that costs each run something, as a change by mistake would.

import { Publisher } from '@loopstack/jetstream';
import { WorkflowRunner } from '@loopstack/core';

/** About two kilobytes. */
const waste = () => Array.from({ length: 64 }, (_, i) => ({ i }));

for (const [owner, name] of [
  [Publisher.prototype, 'send'],
  [WorkflowRunner.prototype, 'prepare'],
]) {
  const original = owner[name];
  owner[name] = function (...given) {
    globalThis.wasted = waste();
    return original.apply(this, given);
  };
}
