import { IsString, Length } from 'class-validator';
import { Workflow, type RunContext } from '@loopstack/core';
import { Documents } from '../documents/documents.js';

export class MyPayload {
  @IsString()
  @Length(1, 10_000)
  message!: string;
}

export interface Summary {
  readonly message: string;
  readonly words: number;
  readonly characters: number;
}

@Workflow({ title: 'Summarize a message', payload: MyPayload })
export class MyWorkflow {
  constructor(private readonly documents: Documents) {}

  async run({ message }: MyPayload, { runId, userId }: RunContext): Promise<Summary> {
    const words = message.split(/\s+/).filter((word) => word !== '').length;
    return this.documents.create<Summary>('summaries', userId, runId, { message, words, characters: message.length });
  }
}
