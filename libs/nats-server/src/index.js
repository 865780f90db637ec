// Runs a nats-server for development and tests. Plain JavaScript on Node's own modules only, because the commands of the
// checkout use it before anything is installed or built.

export { NatsCluster, startNatsCluster } from './cluster.js';
export { defaultCacheDir, findNatsServer } from './find.js';
export { isRecent, MINIMUM_VERSION, readServerInfo } from './info.js';
export { isFree } from './port.js';
export { NatsServer, PortTakenError, startNatsServer } from './server.js';
