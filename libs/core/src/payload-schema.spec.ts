import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsInt, IsOptional, IsString, MaxLength, Min, ValidateNested } from 'class-validator';
import { payloadSchema } from './payload-schema.js';

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
        id: { type: 'string', maxLength: 10 },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        lines: { type: 'array', maxItems: 3, items: { $ref: '#/$defs/Line' } },
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
});
