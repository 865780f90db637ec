import { Workflow, type RunContext } from '@loopstack/core';

@Workflow()
export class ProcessOrderWorkflow {
  run(payload: unknown, { userId }: RunContext) {
    return { userId, payload };
  }
}
