/** Token of the resolved options. */
export const NATS_OPTIONS = Symbol.for('loopstack:nats-options');
