// Runs a nats-server for development and tests. Plain JavaScript on Node's own modules only: it runs as it lies in the
// checkout, before anything is built.

export { NatsCluster, startNatsCluster } from './cluster.js';
export { fetchPackage } from './fetch-package.js';
export { defaultCacheDir, findNatsServer } from './find.js';
export { endWithParent } from './guardian.js';
export { isRecent, MINIMUM_VERSION, readServerInfo } from './info.js';
export { isFree, pickPort } from './port.js';
export { NatsServer, PortTakenError, startNatsServer } from './server.js';

/** @typedef {import('./cluster.js').NatsClusterOptions} NatsClusterOptions */
/** @typedef {import('./find.js').FindOptions} FindOptions */
/** @typedef {import('./find.js').FoundServer} FoundServer */
/** @typedef {import('./info.js').ServerInfo} ServerInfo */
/** @typedef {import('./server.js').NatsServerOptions} NatsServerOptions */
