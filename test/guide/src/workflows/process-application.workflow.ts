import { Workflow, type RunContext } from '@loopstack/core';

@Workflow()
export class ProcessApplicationWorkflow {
  run(payload: unknown, { userId }: RunContext) {
    return { userId, payload };
  }
}
