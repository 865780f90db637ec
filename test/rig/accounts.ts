/** The user `gagged` may not write dead letters. */
export const GAGGED = `
authorization {
  users: [
    { user: admin, password: admin }
    { user: gagged, password: gagged, permissions: { publish: { deny: ["loopstack.dead.>"] } } }
  ]
}`;
