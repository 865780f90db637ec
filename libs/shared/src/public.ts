import {
  SetMetadata,
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  type PipeTransform,
  type Type,
} from '@nestjs/common';

/** Written out: the type that Nest 12 infers names one that Nest 11 has not. */
type ParameterOf<Data> = (...dataOrPipes: (Data | PipeTransform | Type<PipeTransform>)[]) => ParameterDecorator;

/** Metadata key that a global guard asks the Reflector for. */
export const IS_PUBLIC = 'loopstack:public';

/** Opens an endpoint, or all of a controller, of an application whose global guard demands authentication. */
export const Public = (): CustomDecorator => SetMetadata(IS_PUBLIC, true);

/** The authenticated user of an HTTP request, or one property of it: `@CurrentUser('id') userId: string`. */
export const CurrentUser: ParameterOf<string | undefined> = createParamDecorator(
  (property: string | undefined, context: ExecutionContext): unknown => {
    const { user } = context.switchToHttp().getRequest<{ user?: Record<string, unknown> }>();
    return property === undefined ? user : user?.[property];
  },
);
