import { many, shownAddress } from '../text.js';
import type { Facts } from './facts.js';
import { warning, type Finding } from './finding.js';

/** Workflows that the finding names; the others are counted. */
const NAMED = 5;

/** Workers of two releases that take different payloads: as it is during a roll-out, and not for ever. */
export function releaseFindings({ shared }: Pick<Facts, 'shared'>): readonly Finding[] {
  if (shared.length === 0) return [];
  const names = shared.slice(0, NAMED).map((one) => {
    const releases = one.releases.length === 0 ? '' : ` of ${one.releases.join(' and ')}`;
    return `${shownAddress(one)} (${one.contracts.length} contracts${releases})`;
  });
  const others = shared.length > NAMED ? `, and ${many(shared.length - NAMED, 'other workflow')}` : '';
  return [
    warning(
      'releases',
      `releases run side by side that take different payloads: ${names.join(', ')}${others}`,
      'Finish the roll-out. Until then what one release refuses waits for the other, as long as waitForRelease says.',
    ),
  ];
}
