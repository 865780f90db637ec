import { Controller, Get, Param } from '@nestjs/common';
import { CurrentUser } from '@loopstack/shared';
import type { AuthenticatedUser } from '../auth/claims.js';
import { Problem } from '../http/problem.js';
import { Documents, KINDS, type Kind } from './documents.js';

/** Reads back what the workflows of the current user wrote. */
@Controller('documents')
export class DocumentsController {
  constructor(private readonly documents: Documents) {}

  @Get(':kind/:id')
  async read(@Param('kind') kind: string, @Param('id') id: string, @CurrentUser() user: AuthenticatedUser): Promise<object> {
    const known = (KINDS as readonly string[]).includes(kind) && id.length <= 256;
    const document = known ? await this.documents.read(kind as Kind, user.id, id) : undefined;
    if (!document) throw new Problem('DOCUMENT_UNKNOWN');
    return document;
  }
}
