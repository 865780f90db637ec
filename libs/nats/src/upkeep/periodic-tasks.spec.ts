import { jest } from '@jest/globals';
import { Logger, type LoggerService } from '@nestjs/common';
import { PeriodicTasks } from './periodic-tasks.js';

describe('a periodic task', () => {
  const warned: string[] = [];
  let mayRun = true;
  let tasks: PeriodicTasks;
  beforeEach(() => {
    jest.useFakeTimers();
    warned.length = 0;
    mayRun = true;
    const ignore = (): void => undefined;
    Logger.overrideLogger({ log: ignore, error: ignore, warn: (line: string) => warned.push(line) } satisfies LoggerService);
    tasks = new PeriodicTasks('Tasks', () => mayRun);
  });
  afterEach(() => {
    tasks.stop();
    Logger.overrideLogger(new Logger());
    jest.useRealTimers();
  });

  /** Work that ends when it is told to. */
  function counted() {
    let turns = 0;
    let end = (): void => undefined;
    const work = (): Promise<void> => {
      turns++;
      return new Promise((resolve) => (end = resolve));
    };
    return { work, turns: () => turns, end: () => end() };
  }

  it('never runs twice at once', async () => {
    const { work, turns, end } = counted();
    tasks.every(100, 'It failed', work);
    await jest.advanceTimersByTimeAsync(350);
    expect(turns()).toBe(1);
    end();
    await jest.advanceTimersByTimeAsync(100);
    expect(turns()).toBe(2);
  });

  it('is left out while it may not run', async () => {
    const { work, turns } = counted();
    tasks.every(100, 'It failed', work);
    mayRun = false;
    await jest.advanceTimersByTimeAsync(350);
    expect(turns()).toBe(0);
    mayRun = true;
    await jest.advanceTimersByTimeAsync(100);
    expect(turns()).toBe(1);
  });

  it('logs a failure and runs again', async () => {
    tasks.every(100, 'It failed', () => Promise.reject(new Error('no server')));
    await jest.advanceTimersByTimeAsync(250);
    expect(warned).toEqual(['It failed: no server', 'It failed: no server']);
  });

  it('runs at once where that is asked for', () => {
    const { work, turns } = counted();
    tasks.nowAndEvery(100, 'It failed', work);
    expect(turns()).toBe(1);
  });

  it('does not run after the stop', async () => {
    const { work, turns } = counted();
    tasks.every(100, 'It failed', work);
    tasks.stop();
    await jest.advanceTimersByTimeAsync(350);
    expect(turns()).toBe(0);
  });
});
