import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { LoopstackHealth } from '@loopstack/nats';
import { Public } from '@loopstack/shared';
import { Unlimited } from '../http/unlimited.js';

@Public()
@Unlimited()
@Controller('health')
export class HealthController {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly loopstack: LoopstackHealth,
  ) {}

  /** Red when only a restart would help. */
  @Get('live')
  @HealthCheck()
  live() {
    return this.checks.check([() => this.loopstack.live()]);
  }

  /** Red while this process should get no traffic. */
  @Get('ready')
  @HealthCheck()
  ready() {
    return this.checks.check([() => this.loopstack.ready()]);
  }
}
