import { Injectable, type Type } from '@nestjs/common';
import { IsString } from 'class-validator';
import { buildCatalogue, type Candidate } from './registry.js';
import { Workflow, Workspace } from './workflow.js';

class Payload {
  @IsString() id!: string;
}

@Workflow({ payload: Payload, concurrency: 4 })
class Ship {
  run(): void {}
}

@Workflow({ name: 'Bill' })
class BillOrder {
  run(): void {}
}

@Workspace({ workflows: [Ship, BillOrder] })
class Orders {}

const candidate = (type: Type<object>, module = 'OrdersModule'): Candidate => ({
  type,
  instance: new type(),
  module,
  moduleKey: undefined,
});
const refusal = (candidates: readonly Candidate[]): string => {
  try {
    buildCatalogue(candidates);
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

describe('the catalogue of workflows', () => {
  it('gives each workflow an address, its options and what validates its payload', () => {
    const { workflows, workspaces } = buildCatalogue([candidate(Ship), candidate(BillOrder), candidate(Orders)], {
      defaults: { concurrency: 7 },
    });
    expect([...workspaces]).toEqual(['Orders']);
    expect(workflows.map(({ workspace, workflow }) => `${workspace}.${workflow}`)).toEqual(['Orders.Ship', 'Orders.Bill']);
    expect(workflows.map(({ options }) => options.concurrency)).toEqual([4, 7]);
    expect(workflows.map(({ validator }) => validator !== undefined)).toEqual([true, false]);
  });

  it('takes a class once that several modules provide', () => {
    const { workflows } = buildCatalogue([candidate(Ship), candidate(Ship, 'Other'), candidate(BillOrder), candidate(Orders)]);
    expect(workflows).toHaveLength(2);
  });

  it('allows one name in two workspaces', () => {
    @Workspace({ workflows: [Ship] })
    class Returns {}
    expect(refusal([candidate(Ship), candidate(BillOrder), candidate(Orders), candidate(Returns)])).toBe('accepted');
  });

  it('refuses two workflows of one name in a workspace, and names both', () => {
    @Workflow({ name: 'Ship' })
    class ShipByTrain {
      run(): void {}
    }
    @Workspace({ workflows: [Ship, ShipByTrain] })
    class Both {}
    expect(refusal([candidate(Ship), candidate(ShipByTrain, 'TrainModule'), candidate(Both)])).toMatch(
      /two workflows claim the name Ship in workspace Both: Ship \(OrdersModule\) and ShipByTrain \(TrainModule\)/,
    );
  });

  it('refuses two workspaces of one name, and names both', () => {
    @Workspace({ name: 'Orders', workflows: [Ship, BillOrder] })
    class Elsewhere {}
    expect(refusal([candidate(Ship), candidate(BillOrder), candidate(Orders), candidate(Elsewhere, 'M')])).toMatch(
      /Orders \(OrdersModule\) and Elsewhere \(M\)/,
    );
  });

  it('refuses a workflow in no workspace', () => {
    @Workflow()
    class Lost {
      run(): void {}
    }
    expect(refusal([candidate(Lost)])).toMatch(/workflow Lost \(OrdersModule\) is in no workspace/);
  });

  it('refuses a class in workflows that is not decorated, one that no module provides, and what is no class', () => {
    class Plain {
      run(): void {}
    }
    @Workspace({ workflows: [Plain, Ship, undefined as never] })
    class Odd {}
    const message = refusal([candidate(Odd)]);
    expect(message).toMatch(/lists Plain, which is not decorated with @Workflow/);
    expect(message).toMatch(/lists Ship, which is a provider of no module/);
    expect(message).toMatch(/lists something that is no class \(undefined; a circular import\?\)/);
  });

  it('refuses a request-scoped workflow, one without run, and one with options that mean nothing', () => {
    @Injectable()
    @Workflow({ timeout: 'soon' as never })
    class Timeless {
      run(): void {}
    }
    @Workspace({ workflows: [Timeless] })
    class Only {}
    expect(refusal([candidate(Timeless), candidate(Only)])).toMatch(/Option Timeless.timeout is invalid/);
    expect(refusal([{ ...candidate(Timeless), instance: undefined }, candidate(Only)])).toMatch(/request-scoped or transient/);
    expect(refusal([{ ...candidate(Timeless), instance: {} }, candidate(Only)])).toMatch(/has no method run/);
  });
});
