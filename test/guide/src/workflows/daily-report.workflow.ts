import { Workflow, type RunContext } from '@loopstack/core';

@Workflow()
export class DailyReportWorkflow {
  run(payload: unknown, { userId }: RunContext) {
    return { userId, payload };
  }
}
