import 'reflect-metadata';
import { Transform, Type } from 'class-transformer';
import {
  Allow,
  ArrayMaxSize,
  IsArray,
  IsEmail,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  Min,
  ValidateBy,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { BUILT_IN_RULES } from '../validation/rules.js';
import { payloadSchema } from './payload-schema.js';
import { KNOWN_RULES } from './rule-verdicts.js';

class Line {
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
}

class Basket {
  @IsString() @MaxLength(10) id!: string;
  @IsOptional() @IsString() note?: string;
  @IsArray() @ArrayMaxSize(3) @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
}

class Nothing {}

describe('the JSON Schema of a payload class', () => {
  it('says what the rules say, names what it refers to, and refuses other fields', () => {
    expect(payloadSchema(Basket)).toEqual({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      required: ['id', 'lines'],
      properties: {
        id: { type: 'string', anyOf: [{ maxLength: 10 }, { pattern: '[\\uFE0E\\uFE0F]' }] },
        note: { type: ['string', 'null'] },
        lines: { type: 'array', maxItems: 3, items: { anyOf: [{ $ref: '#/$defs/Line' }, { type: 'array', $comment: 'taken, too' }] } },
      },
      $defs: {
        Line: {
          type: 'object',
          additionalProperties: false,
          required: ['sku', 'quantity'],
          properties: { sku: { type: 'string' }, quantity: { type: 'integer', minimum: 1 } },
        },
      },
    });
  });

  it.each(['strip', 'keep'] as const)('takes other fields, nested ones too, where a worker has to %s them', (unknownFields) => {
    const { $defs, additionalProperties } = payloadSchema(Basket, unknownFields);
    expect(additionalProperties).toBeUndefined();
    expect(($defs as Record<string, object>)['Line']).not.toHaveProperty('additionalProperties');
  });

  it('of a class without rules is an object without fields', () => {
    expect(payloadSchema(Nothing)).toMatchObject({ type: 'object', additionalProperties: false });
  });

  it('says every rule of class-validator that a class may have by its name', () => {
    expect([...BUILT_IN_RULES].filter((name) => name !== 'isOptional' && !KNOWN_RULES.has(name))).toEqual([]);
    expect([...KNOWN_RULES].filter((name) => !BUILT_IN_RULES.has(name))).toEqual([]);
  });

  it('names what it leaves to the worker', () => {
    class Left {
      @IsEmail() @Matches(/a/y) mail!: string;
      @Allow() @Transform(({ value }: { value: unknown }) => value) changed!: unknown;
      @ValidateIf(() => true) @IsInt() perhaps!: number;
      @ValidateBy({ name: 'isOurs', validator: { validate: () => true } }) ours!: unknown;
      @Type(() => Number) @IsInt() @Min(1) count!: number;
      @IsInt({ validateIf: () => false }) @IsOptional() never!: number;
    }
    expect(payloadSchema(Left)).toMatchObject({
      required: ['mail', 'count'],
      properties: {
        mail: { type: 'string', pattern: '@', $comment: 'left to the worker: matches, isEmail' },
        changed: { $comment: 'left to the worker: @Transform' },
        perhaps: { $comment: 'left to the worker: @ValidateIf' },
        ours: { $comment: 'left to the worker: isOurs' },
        count: { minimum: 1, $comment: 'left to the worker: @Type(Number)' },
        never: { $comment: 'left to the worker: isInt with validateIf' },
      },
    });
  });

  it('tells two classes of one name apart, and ends where a class holds itself', () => {
    const first = class Address {
      city!: string;
    };
    const second = class Address {
      iban!: string;
      next!: object;
    };
    IsString()(first.prototype, 'city');
    IsString()(second.prototype, 'iban');
    IsOptional()(second.prototype, 'next');
    ValidateNested()(second.prototype, 'next');
    Type(() => second)(second.prototype, 'next');
    class Order {
      @ValidateNested() @Type(() => first) from!: object;
      @ValidateNested() @Type(() => second) to!: object;
    }
    const { $defs } = payloadSchema(Order) as { $defs: Record<string, { required: string[] }> };
    expect(Object.entries($defs).map(([name, { required }]) => [name, required])).toEqual([
      ['Address', ['city']],
      ['Address_2', ['iban']],
    ]);
  });
});
