import { Workflow, type RunContext } from '@loopstack/core';

@Workflow()
export class ProcessWebhookWorkflow {
  run(payload: unknown, { userId }: RunContext) {
    return { userId, payload };
  }
}
