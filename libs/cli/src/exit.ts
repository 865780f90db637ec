/** What the exit code of the command says. */
export const EXIT = {
  DONE: 0,
  /** The run failed, was canceled, or expired. */
  RUN_FAILED: 1,
  /** Wrong use, or no connection. */
  USAGE: 2,
  /** Some of it is done. */
  PARTLY: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command cannot be carried out as it was given. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  constructor(
    message: string,
    readonly fix?: string,
  ) {
    super(message);
  }
}
