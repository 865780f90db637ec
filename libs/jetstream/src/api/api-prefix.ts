import { invalidOption } from '@loopstack/shared/contract';

const DOMAIN = /^[^\s.*>]+$/;

/** First tokens of the JetStream API's subjects, in a domain or without. @throws LoopstackError OPTION_INVALID */
export function apiPrefix(domain: string | undefined): string {
  if (domain === undefined) return '$JS.API';
  if (typeof domain === 'string' && DOMAIN.test(domain)) return `$JS.${domain}.API`;
  throw invalidOption('domain', 'the name of a JetStream domain', domain);
}
