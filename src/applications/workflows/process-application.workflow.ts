import { Type } from 'class-transformer';
import { IsDefined, IsEmail, IsIn, IsISO8601, IsString, Length, ValidateNested } from 'class-validator';
import { Workflow, type RunContext } from '@loopstack/core';
import { Documents } from '../../documents/documents.js';

export class ApplicationFormData {
  @IsString()
  @Length(1, 100)
  firstName!: string;

  @IsString()
  @Length(1, 100)
  lastName!: string;

  @IsEmail()
  email!: string;

  @IsString()
  @Length(1, 20_000)
  resume!: string;

  @IsString()
  @Length(1, 20_000)
  coverLetter!: string;
}

export class ProcessApplicationPayload {
  @IsDefined()
  @ValidateNested()
  @Type(() => ApplicationFormData)
  applicantData!: ApplicationFormData;

  @IsISO8601()
  submittedAt!: string;

  @IsIn(['web-form'])
  source!: 'web-form';
}

export interface Application {
  readonly applicant: ApplicationFormData;
  readonly submittedAt: string;
  readonly source: string;
  readonly status: 'in-review' | 'incomplete';
  /** What is too short to be judged. */
  readonly missing: readonly string[];
}

/** Words below which a text says too little to be reviewed. */
const MINIMUM_WORDS = { resume: 20, coverLetter: 10 } as const;

/** Whether an application can be reviewed. Pure. */
export function decide(applicant: Pick<ApplicationFormData, 'resume' | 'coverLetter'>): Pick<Application, 'status' | 'missing'> {
  const missing = (['resume', 'coverLetter'] as const).filter(
    (field) => applicant[field].trim().split(/\s+/).length < MINIMUM_WORDS[field],
  );
  return { status: missing.length === 0 ? 'in-review' : 'incomplete', missing };
}

@Workflow({ title: 'Process an application', payload: ProcessApplicationPayload })
export class ProcessApplicationWorkflow {
  constructor(private readonly documents: Documents) {}

  async run(
    { applicantData, submittedAt, source }: ProcessApplicationPayload,
    { runId, userId }: RunContext,
  ): Promise<Pick<Application, 'status' | 'missing'>> {
    const decision = decide(applicantData);
    await this.documents.create<Application>('applications', userId, runId, { applicant: applicantData, submittedAt, source, ...decision });
    // The result is recorded as an event, which others may read: not the applicant's data.
    return decision;
  }
}
