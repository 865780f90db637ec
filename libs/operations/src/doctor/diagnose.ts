import { isAtLeast, OLDEST_SERVER } from '@loopstack/jetstream';
import type { Facts } from './facts.js';
import type { Finding } from './finding.js';
import { permissions } from './permissions.js';
import { bindingFindings, queueFindings } from './queue-findings.js';
import { releaseFindings } from './releases.js';
import { clock, connection, durability, jetStream, version } from './server-findings.js';
import { deadLetters, storage, streamFindings } from './stream-findings.js';
import { topology } from './topology.js';

/** Finds what is wrong in the facts, and advises. Pure. */
export function diagnose(facts: Facts): readonly Finding[] {
  // What it lacks would show as other problems, whose remedies cannot help.
  if (!isAtLeast(facts.server.version, OLDEST_SERVER)) return [connection(facts), version(facts)];
  return [
    connection(facts),
    version(facts),
    topology(facts),
    jetStream(facts),
    ...permissions(facts),
    ...(facts.jetStreamError === undefined
      ? [
          ...facts.streams.flatMap(streamFindings),
          ...storage(facts),
          ...queueFindings(facts),
          ...releaseFindings(facts),
          ...bindingFindings(facts),
          deadLetters(facts),
        ]
      : []),
    durability(facts),
    clock(facts),
  ];
}
