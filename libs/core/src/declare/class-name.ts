/** Tests name classes as they like, and are not minified. */
// oxlint-disable-next-line no-restricted-properties -- the one fact of the environment that this package asks for; no option says it
const IN_TESTS = process.env['NODE_ENV'] === 'test';

/**
 * Says why a name that comes from a class cannot be trusted to be the one in the source; undefined where nothing is wrong. Minifiers
 * give classes names of one to three letters, and other ones with each build: as subjects and durables these would exchange the
 * messages of two workflows. Pure but for `inTests`.
 */
export function mangledName(className: string, inTests = IN_TESTS): string | undefined {
  if (inTests || !looksMangled(className)) return undefined;
  return `the class name ${JSON.stringify(className)} looks as if a minifier had made it, and it would be the name on the wire; give it one that stays (name: '…'), or have the minifier keep class names (esbuild: keepNames, terser: keep_classnames, SWC: jsc.minify.mangle.keep_classnames)`;
}

/** `t`, `$e`, `aB`, `e1t`; not `Pay` or `Api`. */
function looksMangled(name: string): boolean {
  return name.length <= 2 || (name.length === 3 && !/^[A-Z]([a-z]{2}|[A-Z]{2})$/.test(name));
}

/**
 * Workflows of one workspace that seem to have exchanged their names since the release before: each has the payload schema that another one
 * had. Names that a minifier made do that, and the commands of one workflow go to the other. Pure.
 * @param before payload schemas as text, by workflow; those of the release before
 */
export function exchangedNames(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly { readonly workflow: string; readonly formerly: string }[] {
  const changed = [...now].filter(([workflow, schema]) => before.has(workflow) && before.get(workflow) !== schema);
  const names = new Set(changed.map(([workflow]) => workflow));
  return changed.flatMap(([workflow, schema]) => {
    const formerly = [...before].find(([name, old]) => name !== workflow && names.has(name) && old === schema)?.[0];
    return formerly === undefined ? [] : [{ workflow, formerly }];
  });
}
