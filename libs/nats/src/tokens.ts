import { Inject, type InjectionToken } from '@nestjs/common';
import { RunService } from '@loopstack/core';

/** Token of the resolved options of a connection. */
export const NATS_OPTIONS = Symbol.for('loopstack:nats-options');

/** Token of the NATS connection. */
export const NATS_CONNECTION = Symbol.for('loopstack:nats-connection');

/** By name of the connection; not by name of the class, which a minifier may have changed. */
const tokens = new Map<string, Map<unknown, symbol>>();

/**
 * The token of what `NatsModule.forRoot({ name })` provides for one connection: `natsToken(DeadLetters, 'audit')`. Without a
 * name it is the class itself.
 */
export function natsToken<T>(token: InjectionToken<T>, name?: string): InjectionToken<T> {
  if (name === undefined) return token;
  const ofName = tokens.get(name) ?? new Map<unknown, symbol>();
  // Nest 10 takes modules for one whose tokens have the same description.
  const title = typeof token === 'function' ? token.name : String(token);
  const known = ofName.get(token) ?? Symbol(`loopstack:${name}:${title}`);
  tokens.set(name, ofName.set(token, known));
  return known;
}

/** Injects what one connection provides: `@InjectNats(Replays, 'audit')`. */
export const InjectNats = (token: InjectionToken, name?: string): ParameterDecorator & PropertyDecorator => Inject(natsToken(token, name));

/** Injects the `RunService` that publishes over the connection of that name: `@InjectRunService('audit')`. */
export const InjectRunService = (name?: string): ParameterDecorator & PropertyDecorator => InjectNats(RunService, name);
