export { LoopstackHarness } from './harness.js';
export type { MemoryDeadLetters } from './broker/memory-dead-letters.js';
export { LoopstackTestingModule, type LoopstackTestingOptions } from './module.js';
export type { MemoryBrokerOptions } from './options.js';
export { runWorkflow, type RunWorkflowOptions } from './run-workflow.js';
export type { StartedRun } from './broker/run-state.js';
