export { LoopstackClient } from './client.js';
export type { ClientOptions, UnsignedCommand } from './options.js';
export { Publisher, type PublisherOptions } from './publisher.js';
export type { PubAck } from './acknowledgement.js';
