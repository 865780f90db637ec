/** The user `gagged` may not publish to a subject. */
export const gagged = (subject: string): string => `
authorization {
  users: [
    { user: admin, password: admin }
    { user: gagged, password: gagged, permissions: { publish: { deny: ["${subject}"] } } }
  ]
}`;

/** The user `gagged` may not write dead letters. */
export const GAGGED = gagged('loopstack.dead.>');
