// A server must not outlive the process that started it, however that process ends. No exit handler runs on SIGKILL,
// so a guardian outside holds the read end of a pipe: the kernel closes the write end when the parent dies, and then the
// guardian ends what it was told to watch. It is one POSIX shell per parent, about 1 MB, in a session of its own so that
// neither Ctrl-C nor a kill of the parent's process group reaches it.

import { spawn } from 'node:child_process';

/** How long the guardian waits after SIGTERM before SIGKILL, for each process in turn, newest first. */
const GRACE_TENTHS = 50;

// An orphan's process 1 may take seconds to reap it, or never do: a zombie counts as ended.
const SCRIPT = `
trap '' INT TERM HUP
runs() {
  kill -0 "$1" 2>/dev/null || return 1
  [ -r "/proc/$1/stat" ] || return 0
  read -r stat < "/proc/$1/stat"
  case $stat in *') Z '*) return 1 ;; esac
}
watched=$1
shift
while read -r verb what; do
  case $verb in
    watch) watched="$what $watched" ;;
    forget) kept=; for pid in $watched; do [ "$pid" = "$what" ] || kept="$kept $pid"; done; watched=$kept ;;
    scratch) set -- "$@" "$what" ;;
    keep) for dir do shift; [ "$dir" = "$what" ] || set -- "$@" "$dir"; done ;;
  esac
done
for pid in $watched; do
  kill -TERM "$pid" 2>/dev/null || continue
  tenths=0
  while runs "$pid" && [ $tenths -lt ${GRACE_TENTHS} ]; do sleep 0.1; tenths=$((tenths + 1)); done
  kill -KILL "$pid" 2>/dev/null
done
for dir do rm -rf -- "$dir"; done
`;

/** What the guardian knows: pids to end (with 'watch') and directories to remove afterwards (with 'scratch'). */
/** @type {Map<string, 'watch' | 'scratch'>} */
const charges = new Map();
const UNDO = /** @type {const} */ ({ watch: 'forget', scratch: 'keep' });

/** @type {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, null, null> | undefined} */
let guardian;

/**
 * Ends a process when this one ends: SIGTERM, after 5 s SIGKILL; the process watched last goes first.
 *
 * @param {number} pid
 * @returns {() => void} to be called when the process has ended by itself
 */
export function endWithParent(pid) {
  return entrust('watch', String(pid));
}

/**
 * Removes a directory when this process ends, after the watched processes have ended.
 *
 * @param {string} directory an absolute path
 * @returns {() => void} to be called when the directory is gone or is to stay
 */
export function removeWithParent(directory) {
  return entrust('scratch', directory);
}

/**
 * @param {'watch' | 'scratch'} verb
 * @param {string} what
 */
function entrust(verb, what) {
  charges.set(what, verb);
  if (guardian === undefined) start();
  else tell(verb, what);
  return () => {
    if (!charges.delete(what)) return;
    tell(UNDO[verb], what);
    if (charges.size === 0) dismiss();
  };
}

function start() {
  // On Windows there is no shell to do it; servers then end with an orderly exit of the parent only.
  if (process.platform === 'win32') return;
  // What it knows from its first moment on needs no later word from a process that may be killed by then.
  const all = (/** @type {string} */ verb) => [...charges].filter(([, its]) => its === verb).map(([what]) => what);
  const known = [all('watch').toReversed().join(' '), ...all('scratch')];
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'guardian', ...known], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' });
  guardian = child;
  child.unref();
  // A pipe has unref(); the stream type does not say so.
  /** @type {import('node:net').Socket} */ (child.stdin).unref();
  child.stdin.on('error', () => {});
  child.on('error', () => {
    // No shell on this machine: as on Windows.
    guardian = undefined;
  });
  child.on('exit', () => replace(child));
}

/**
 * Someone ended the guardian: a new one takes over.
 *
 * @param {unknown} ended
 */
function replace(ended) {
  if (guardian !== ended) return;
  guardian = undefined;
  if (charges.size > 0) start();
}

/**
 * @param {string} verb
 * @param {string} what
 */
function tell(verb, what) {
  guardian?.stdin.write(`${verb} ${what}\n`);
}

function dismiss() {
  const child = guardian;
  guardian = undefined;
  child?.stdin.end();
}
