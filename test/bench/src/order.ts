import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsOptional,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';

class Address {
  @IsString() @MaxLength(80) street!: string;
  @IsString() @MaxLength(80) city!: string;
  @IsOptional() @IsString() @Length(5, 5) zip?: string;
}

/** The payload of every case: 8 fields with a nested object and an array. */
export class Order {
  @IsString() @Length(1, 40) orderId!: string;
  /** Place of the order in its round, so that what is lost or done twice is seen. */
  @IsInt() @Min(0) place!: number;
  /** When it was published, in milliseconds since the epoch. */
  @IsNumber() @Max(1e15) sentMs!: number;
  @IsIn(['low', 'normal', 'high']) urgency!: string;
  @IsBoolean() express!: boolean;
  @IsString() @MaxLength(2000) note!: string;
  @ValidateNested() @Type(() => Address) address!: Address;
  @IsArray() @ArrayMaxSize(20) @IsString({ each: true }) tags!: string[];
}

/** Bytes of the whole command, `{"payload":…,"userId":…}`. */
export type Size = 256 | 1024;

export const USER = 'user-1';

export const nowMs = (): number => performance.timeOrigin + performance.now();

const bodies = new Map<Size, Omit<Order, 'place' | 'sentMs'>>();

export function order(place: number, size: Size, sentMs = 0): Order {
  let body = bodies.get(size);
  if (!body) bodies.set(size, (body = bodyOf(size)));
  const { orderId, urgency, express, note, address, tags } = body;
  // Spelled out: to copy an object with a spread takes as long as to publish it.
  return { orderId, place, sentMs, urgency, express, note, address, tags };
}

function bodyOf(size: Size): Omit<Order, 'place' | 'sentMs'> {
  const body = {
    orderId: 'o-20250101-17',
    urgency: 'normal',
    express: true,
    note: '',
    address: { street: '12 Mill Lane', city: 'Bath', zip: 'BA110' },
    tags: ['b2b', 'gift'],
  };
  const used = JSON.stringify({ payload: { ...body, place: 10_000, sentMs: 0 }, userId: USER }).length;
  return { ...body, note: 'x'.repeat(Math.max(0, size - used)) };
}
