import { SetMetadata } from '@nestjs/common';

export const UNLIMITED = 'unlimited';

/** Requests to this controller or route are not counted by the rate limit: probes ask often, and must be answered. */
export const Unlimited = () => SetMetadata(UNLIMITED, true);
