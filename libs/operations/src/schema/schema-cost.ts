import type { JsonSchema } from '@loopstack/shared/contract';

/** Parts that are looked at for one value, references followed: a schema of one class has some dozens. */
const MAX_PARTS = 2000;

/**
 * Whether checking by a schema takes time in proportion to the payload, whatever it holds: no reference that comes back to itself, no
 * expression that may backtrack for long, no comparison of all items with each other.
 */
export function isCheap(schema: JsonSchema): boolean {
  const costs = new Map<string, number>();
  const definitions = (schema['$defs'] ?? {}) as Readonly<Record<string, unknown>>;
  const ofReference = (ref: string): number => {
    const known = costs.get(ref);
    if (known !== undefined) return known;
    // Until it is known: a reference to itself has no end.
    costs.set(ref, Number.POSITIVE_INFINITY);
    const cost = costOf(definitions[ref.slice('#/$defs/'.length)]);
    costs.set(ref, cost);
    return cost;
  };
  const costOf = (node: unknown): number => {
    if (typeof node !== 'object' || node === null) return 0;
    let cost = 1;
    for (const [keyword, value] of Object.entries(node)) {
      if (keyword === '$ref' && typeof value === 'string') cost += ofReference(value);
      else if (
        (keyword === 'pattern' && typeof value === 'string' && !isTame(value)) ||
        keyword === 'patternProperties' ||
        keyword === 'uniqueItems'
      )
        return Number.POSITIVE_INFINITY;
      else cost += costOf(value);
    }
    return cost;
  };
  const { $defs: _, ...root } = schema;
  return costOf(root) <= MAX_PARTS;
}

/** Whether an expression needs no more than some steps for each character: at most one loop, from the beginning, over one character. */
function isTame(source: string): boolean {
  const bare = source.replace(/\\(?:u\{[^}]*\}|[^])/g, 'x').replace(/\[[^\]]*\]/g, 'x');
  // `{5}` is no loop, and what follows a quantifier or opens a group is no quantifier.
  const shape = bare
    .replace(/\{\d\}/g, '')
    .replace(/([*+?}])\?/g, '$1')
    .replace(/\(\?[:<=!]*/g, '(');
  const loops = shape.match(/[*+]|\{\d+,?\d*\}/g) ?? [];
  const options = shape.match(/\?/g) ?? [];
  if (/\)[*+?{]/.test(shape) || /\(\?<?[=!]/.test(bare) || /\\[1-9k]/.test(source)) return false;
  return options.length <= 5 && (loops.length === 0 || (loops.length === 1 && bare.startsWith('^')));
}
