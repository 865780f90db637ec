import { Workflow, type RunContext } from '@loopstack/core';

@Workflow()
export class MyWorkflow {
  run(payload: unknown, { userId }: RunContext) {
    return { userId, payload };
  }
}
