import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Public } from '@loopstack/shared';
import { JwtGuard } from './jwt.guard.js';

class Door {
  closed(): void {}
  open(): void {}
}
Public()(Door.prototype, 'open', Object.getOwnPropertyDescriptor(Door.prototype, 'open')!);
class OpenHouse {
  room(): void {}
}
Public()(OpenHouse);

const context = (type: string, target: object, handler: object): ExecutionContext =>
  ({
    getType: () => type,
    getClass: () => target,
    getHandler: () => handler,
    // Whoever asks for the request wants to authenticate it.
    switchToHttp: () => {
      throw new Error('asked for a token');
    },
  }) as unknown as ExecutionContext;

describe('JwtGuard', () => {
  const guard = new JwtGuard(new Reflector());

  it('asks for a token', async () => {
    await expect(guard.canActivate(context('http', Door, Door.prototype.closed))).rejects.toThrow('asked for a token');
  });

  it('asks nothing where a handler is public', async () => {
    expect(await guard.canActivate(context('http', Door, Door.prototype.open))).toBe(true);
  });

  it('asks nothing where a controller is public', async () => {
    expect(await guard.canActivate(context('http', OpenHouse, OpenHouse.prototype.room))).toBe(true);
  });

  it.each(['loopstack', 'rpc', 'ws'])('lets a context of type %s pass: it is no request', async (type) => {
    expect(await guard.canActivate(context(type, Door, Door.prototype.closed))).toBe(true);
  });
});
