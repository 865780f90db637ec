import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsIn,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  Length,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';

export const PRIORITIES = ['high', 'normal', 'low'] as const;

export class OrderItem {
  @IsString()
  @Length(1, 64)
  sku!: string;

  @IsInt()
  @Min(1)
  @Max(10_000)
  quantity!: number;

  /** Money is counted in integers. */
  @IsInt()
  @Min(0)
  @Max(100_000_000)
  unitPriceCents!: number;
}

/** What a customer asks for. */
export class NewOrder {
  @ValidateNested({ each: true })
  @Type(() => OrderItem)
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  items!: OrderItem[];

  @IsOptional()
  @IsIn(PRIORITIES)
  priority?: (typeof PRIORITIES)[number];
}

/** An order as its workflow takes it: from another service the items are enough. */
export class OrderData extends NewOrder {
  @IsOptional()
  @IsString()
  @Length(1, 64)
  id?: string;

  @IsOptional()
  @IsString()
  @Length(1, 256)
  userId?: string;

  @IsOptional()
  @IsISO8601({ strict: true })
  placedAt?: string;
}

/** An order that waits to be processed. */
export type Order = Required<OrderData>;
