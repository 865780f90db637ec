// An application as it is in the wild. It has a workflow with a nested payload and a service, listens to its end, and handles an event.
import 'reflect-metadata';
import { Controller, Injectable, Module } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { LoopstackModule, OnRun, Workflow, Workspace, type RunContext } from '@loopstack/core';
import { NatsModule } from '@loopstack/nats';
import { Public } from '@loopstack/shared';
import { IsString, ValidateNested } from 'class-validator';
import { Type } from 'class-transformer';

class Address {
  @IsString() city!: string;
}
class ShipPayload {
  @ValidateNested() @Type(() => Address) address!: Address;
}

@Injectable()
export class Labels {
  print(city: string, userId: string | undefined): string {
    return `shipped to ${city} for ${userId ?? 'nobody'}`;
  }
}

@Workflow({ payload: ShipPayload })
export class ShipOrder {
  // Injected by its type: the compiler has to write the metadata of decorators.
  constructor(private readonly labels: Labels) {}

  async run({ address }: ShipPayload, ctx: RunContext): Promise<string> {
    return this.labels.print(address.city, ctx.userId);
  }
}
@Workspace({ workflows: [ShipOrder] })
export class OrdersWorkspace {}

export const heard: string[] = [];

@Workflow()
export class PackOrder {
  async run(): Promise<void> {
    heard.push('packing');
    await new Promise((resolve) => setTimeout(resolve, 500));
    heard.push('packed');
  }
}
@Workspace({ workflows: [PackOrder] })
export class PackingWorkspace {}

/** Stands for what a workflow needs until it ends. */
@Injectable()
class Database {
  onModuleDestroy(): void {
    heard.push('disconnected');
  }
}

@Injectable()
class Listener {
  @OnRun(ShipOrder, 'succeeded', { delivery: 'live' })
  done(): void {
    heard.push('on-run');
  }
}
@Controller()
class Events {
  @Public()
  @EventPattern('shop.sold')
  sold(@Payload() data: unknown): void {
    heard.push(`event ${JSON.stringify(data)}`);
  }
}

@Module({
  imports: [
    LoopstackModule.forRoot({ service: 'shop' }),
    NatsModule.forRoot({ servers: process.env['NATS_URL'] as string, inbound: true, prefix: process.env['PREFIX'] as string }),
  ],
  controllers: [Events],
  providers: [Labels, ShipOrder, OrdersWorkspace, PackOrder, PackingWorkspace, Database, Listener],
})
export class AppModule {}
