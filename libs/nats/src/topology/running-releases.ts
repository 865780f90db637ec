import { Releases } from '@loopstack/client';
import type { JetStreamApi } from '@loopstack/jetstream';
import type { WireNames } from '@loopstack/shared';

/** The releases that run, as the leader of the bucket's stream has them. */
export function releasesOf(api: JetStreamApi, names: WireNames): Releases {
  const stream = `KV_${names.catalogue}`;
  return new Releases((position) => api.getFromLeader(stream, position), names);
}
