import { Body, Controller, Headers, Post } from '@nestjs/common';
import { Public } from '@loopstack/shared';
import { RunService } from '@loopstack/core';
import { ProcessWebhookWorkflow } from './workflows/process-webhook.workflow';
import { MainWorkspace } from './main-workspace';

interface StripeEvent {
  readonly userId: string;
}

@Controller('webhooks')
export class WebhookController {
  constructor(private readonly runService: RunService) {}

  @Public()
  @Post('stripe')
  async handleStripeWebhook(@Body() webhookData: StripeEvent, @Headers('stripe-signature') signature: string) {
    const payload = { source: 'stripe', event: webhookData, signature, receivedAt: new Date().toISOString() };
    await this.runService.run(ProcessWebhookWorkflow.name, MainWorkspace.name, payload, webhookData.userId);
    return { received: true };
  }
}
