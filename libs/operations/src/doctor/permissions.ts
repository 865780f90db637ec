import { apiPrefix } from '@loopstack/jetstream';
import { filterCovers, wireNames, type WireNames } from '@loopstack/shared/contract';
import type { Facts, Permissions } from './facts.js';
import { ok, unknown, warning, type Finding } from './finding.js';

function may(rights: Permissions['publish'], subject: string): boolean {
  const { allow, deny } = rights ?? {};
  // The server writes a queue group behind a subject.
  const subjectOf = (entry: string): string => entry.split(' ')[0] as string;
  if (deny?.some((entry) => filterCovers(subjectOf(entry), subject))) return false;
  return allow === undefined || allow.length === 0 || allow.some((entry) => filterCovers(subjectOf(entry), subject));
}

const ANY = { workspace: 'W', workflow: 'F' };

/** What each role needs, by an example of each subject. */
function needs(names: WireNames, api: string): readonly { readonly what: string; readonly publish: readonly string[] }[] {
  const { streams } = names;
  return [
    { what: 'start runs', publish: [names.run(ANY), names.run(ANY, 'low')] },
    {
      what: 'read streams',
      publish: [`${api}.STREAM.INFO.${streams.runs}`, `${api}.DIRECT.GET.${streams.events}`, `${api}.STREAM.MSG.GET.${streams.events}`],
    },
    { what: 'consume runs', publish: [`${api}.CONSUMER.MSG.NEXT.${streams.runs}.W~F`, `$JS.ACK.${streams.runs}.W~F.1.1.1.1.1`] },
    { what: 'record events', publish: [names.event(ANY, 'R'), names.dead(ANY)] },
    { what: 'provision', publish: [`${api}.STREAM.CREATE.${streams.runs}`, `${api}.CONSUMER.CREATE.${streams.runs}.x`] },
    { what: 'replay', publish: [names.replay('R'), `$KV.${names.replays}.x`] },
  ];
}

/** What this user may not do. Pure. */
export function permissions({ user, prefix, domain }: Facts): readonly Finding[] {
  const check = 'permissions';
  if (user === undefined)
    return [unknown(check, 'the server did not say what this user may', 'Allow $SYS.REQ.USER.INFO, or see the server configuration.')];
  if (user.permissions === undefined) return [ok(check, 'this user may do everything in its account')];
  const { publish, subscribe } = user.permissions;
  const findings: Finding[] = [];
  const denied = needs(wireNames(prefix), apiPrefix(domain)).flatMap(({ what, publish: subjects }) => {
    const missing = subjects.filter((subject) => !may(publish, subject));
    return missing.length > 0 ? [{ what, missing }] : [];
  });
  if (denied.length > 0) {
    findings.push(
      warning(
        check,
        `this user may not ${denied.map(({ what }) => what).join(', ')}`,
        `If it should, allow it to publish ${denied
          .flatMap(({ missing }) => missing)
          .slice(0, 4)
          .join(', ')}.`,
      ),
    );
  }
  if (!may(subscribe, '_INBOX.x.1'))
    findings.push(
      warning(check, 'this user may not subscribe to _INBOX.>', 'Allow it, or give the connection the inbox prefix that it may use.'),
    );
  return findings.length > 0 ? findings : [ok(check, 'this user may do what producers, workers and operators do')];
}
