import type { Priority } from '@loopstack/shared';

/** Of any ten runs that start while all lanes have some, high gets six, normal three, low one. */
const PRIORITY_ROTATION: readonly Priority[] = ['high', 'high', 'normal', 'high', 'high', 'normal', 'low', 'high', 'normal', 'high'];

/** Picks the lane that is served next. */
export class PriorityRotation {
  #turn = 0;

  /** @param take the first run of a lane; undefined where it has none */
  next<T>(take: (priority: Priority) => T | undefined): T | undefined {
    for (let i = 0; i < PRIORITY_ROTATION.length; i++) {
      const turn = (this.#turn + i) % PRIORITY_ROTATION.length;
      const taken = take(PRIORITY_ROTATION[turn] as Priority);
      if (taken === undefined) continue;
      this.#turn = (turn + 1) % PRIORITY_ROTATION.length;
      return taken;
    }
    return undefined;
  }
}
