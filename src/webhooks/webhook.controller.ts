import { Body, Controller, Headers, HttpCode, Inject, Post, Req, type RawBodyRequest } from '@nestjs/common';
import { LoopstackClient } from '@loopstack/client';
import { RunService } from '@loopstack/core';
import { jsonType, Public } from '@loopstack/shared';
import type { Request } from 'express';
import { Problem } from '../http/problem.js';
import { SETTINGS, type Settings } from '../settings.js';
import { MainWorkspace } from './main-workspace.js';
import { verifyStripeSignature } from './stripe-signature.js';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow.js';

/** The part of a Stripe event that starts a run. The user is where the integration put it: at the top, or in the object's metadata. */
interface StripeEvent {
  readonly id?: unknown;
  readonly userId?: unknown;
  readonly data?: { readonly object?: { readonly metadata?: { readonly userId?: unknown } | null } | null } | null;
}

@Controller('webhooks')
export class WebhookController {
  constructor(
    private readonly runService: RunService,
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly client: LoopstackClient,
  ) {}

  /** No class for the body: its fields are Stripe's. What proves it is the signature, so that is checked before anything is read. */
  @Public()
  @Post('stripe')
  @HttpCode(200)
  async handleStripeWebhook(
    @Req() request: RawBodyRequest<Request>,
    @Body() webhookData: unknown,
    @Headers('stripe-signature') signature: string,
  ) {
    const secret = this.settings.stripeWebhookSecret;
    if (secret === undefined) throw new Problem('WEBHOOK_DISABLED');
    const verdict = verifyStripeSignature(signature, request.rawBody ?? new Uint8Array(), secret, this.client.clock.nowMs() / 1000);
    if (verdict !== 'valid') throw new Problem('SIGNATURE_INVALID', { message: `The stripe-signature header is ${verdict}` });

    const event = (webhookData ?? {}) as StripeEvent;
    if (typeof event.id !== 'string' || event.id === '') {
      throw new Problem('REQUEST_INVALID', {
        errors: [{ path: 'id', rule: 'isString', message: 'id must be the id of the event', received: jsonType(event.id) }],
      });
    }
    const userId = event.userId ?? event.data?.object?.metadata?.userId;
    const run = await this.runService.run(
      ProcessWebhookWorkflow.name,
      MainWorkspace.name,
      // Nothing of this delivery, such as its time: a key stands for one payload.
      { source: 'stripe', event },
      userId as string,
      // Stripe delivers an event again until it is answered, and sometimes after.
      { idempotencyKey: event.id },
    );
    return { received: true, runId: run.id };
  }
}
