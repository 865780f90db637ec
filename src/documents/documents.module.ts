import { Global, Module } from '@nestjs/common';
import { Bucket, NATS_CONNECTION, type NatsConnection } from '@loopstack/nats';
import { SETTINGS, type Settings } from '../settings.js';
import { DocumentsController } from './documents.controller.js';
import { Documents } from './documents.js';

const bucket = {
  provide: Bucket,
  inject: [NATS_CONNECTION, SETTINGS],
  useFactory: (connection: NatsConnection, { prefix, replicas = 1 }: Settings) =>
    new Bucket(connection, `${prefix.toUpperCase()}_DOCUMENTS`, { replicas }),
};

@Global()
@Module({ controllers: [DocumentsController], providers: [bucket, Documents], exports: [Documents] })
export class DocumentsModule {}
