import { originOf, type PreparedRun } from '@loopstack/core';

/** The facts of a success, beside its run. */
export interface Success {
  /** ISO 8601. */
  readonly at: string;
  readonly attempt: number;
  /** The name of the worker as JSON text: it is the same for all. */
  readonly workerJson: string;
  /** The result as JSON text; undefined: there is none. */
  readonly resultJson: string | undefined;
}

/**
 * The event of the happy path, with its fields in the order of `RunEvents.describe`. Written by hand, since the result is JSON text already:
 * with `encodeRunEvent` a recorded run allocates 250 bytes more (10,070 against 9,820).
 */
export function encodeSuccess(run: PreparedRun, { at, attempt, workerJson, resultJson }: Success): Uint8Array {
  const { content, delivery } = run;
  const origin = JSON.stringify(content === undefined ? originOf(run) : { content, ...originOf(run) }).slice(1, -1);
  const result = resultJson === undefined ? '' : `,"result":${resultJson}`;
  const head = `{"type":"succeeded","at":"${at}","attempt":${attempt},"sequence":${delivery.sequence},"worker":${workerJson}`;
  return Buffer.from(`${head}${origin === '' ? '' : `,${origin}`}${result}}`);
}
