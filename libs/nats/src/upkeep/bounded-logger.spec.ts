import { jest } from '@jest/globals';
import { Logger, type LoggerService } from '@nestjs/common';
import { BoundedLogger } from './bounded-logger.js';

describe('a logger for what producers cause', () => {
  const lines: string[] = [];
  const tell = (message: string): void => void lines.push(message);
  beforeEach(() => {
    jest.useFakeTimers();
    lines.length = 0;
    Logger.overrideLogger({ log: tell, error: tell, warn: tell } satisfies LoggerService);
  });
  afterEach(() => {
    jest.useRealTimers();
    Logger.overrideLogger(new Logger());
  });

  it('tells a hundred lines in ten seconds, and counts the others', () => {
    const logger = new BoundedLogger('W.F');
    for (let i = 0; i < 100_000; i++) logger.error(`dead ${i}`);
    expect(lines).toHaveLength(100);
    jest.advanceTimersByTime(10_000);
    expect(lines.slice(100)).toEqual(['99900 more lines of the last 10 s are left out']);
    logger.warn('again');
    jest.advanceTimersByTime(10_000);
    expect(lines.slice(101)).toEqual(['again']);
  });

  it('leaves out nothing of few', () => {
    const logger = new BoundedLogger('W.F');
    for (let i = 0; i < 100; i++) logger.warn(`${i}`);
    jest.advanceTimersByTime(60_000);
    expect(lines).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });
});
