export { apiPrefix } from './api/api-prefix.js';
export { Bucket, type BucketOptions } from './api/bucket.js';
export { ERR_CODE, hasCode, isUnavailable, JetStreamApiError, orUndefined } from './api/api-error.js';
export type { Config, ConsumerInfo, StreamInfo } from './api/info.js';
export { JetStreamApi } from './api/jetstream-api.js';
export { KeyValue } from './api/key-value.js';
export { StorageWatch } from './api/storage-watch.js';
export { withRemedy } from './api/with-remedy.js';
export { consumerNames, subjectPages, subjectsOf } from './api/stream-lists.js';
export { answersTo, requestFailure } from './connection/client-library.js';
export { connectTo, type NatsAccess } from './connection/connect-to.js';
export {
  requestWithRetry,
  followConnection,
  hasOtherServers,
  inboxOf,
  mayReconnect,
  failover,
  reconnectElsewhere,
  steadyDials,
} from './connection/connection.js';
export { dial, dialOptions, dialPatiently, withCredentials } from './connection/dial.js';
export { guardParser } from './connection/guard-parser.js';
export type { NatsConnectionLike, NatsHeaders, NatsMessage, NatsServerInfo, NatsSubscription } from './connection/nats-connection.js';
export { QUORUM_CHECK_MS, QuorumWatch } from './connection/quorum-watch.js';
export { ServerClock } from './connection/server-clock.js';
export {
  isAtLeast,
  OLDEST_SERVER,
  requireServer,
  requireSupportedServer,
  serverHas,
  type ServerRelease,
} from './connection/server-version.js';
export { AckWriter } from './consume/ack-writer.js';
export { deliveryFacts, durableIn } from './consume/delivery-facts.js';
export { PullLoop, type PullOwner, type PullTarget } from './consume/pull-loop.js';
export { renamed } from './publish/duplicates.js';
export { FastIngest } from './publish/batch/fast-ingest.js';
export { headerBlock } from './publish/header-block.js';
export { IDEMPOTENT_ALONE, WRITTEN_ONCE, type EncodedMessage, type Receiver } from './publish/queue/pending.js';
export { NO_PLACE, type PubAck } from './publish/pub-ack.js';
export { Publisher } from './publish/publisher.js';
export { eventBefore, historyEndAt, type HistoryEnd, type StoredEnd } from './read/history-end.js';
export { Limiter } from './read/limiter.js';
export { recordHeaders } from './read/message-headers.js';
export { PacedRead } from './read/paced-read.js';
export { RawHeaders, replyOf } from './read/raw-message.js';
export type { Position, StoredMessage } from './read/stored-message.js';
export { StreamReader } from './read/stream-reader.js';
