/** Numbers, durations, sizes and addresses as operators read them. */
import type { RunAddress } from '@loopstack/shared/contract';

const number = new Intl.NumberFormat('en-US');

export const count = (value: number): string => number.format(value);

/** `3 runs`, `1 run`. */
export const many = (value: number, one: string, more = `${one}s`): string => `${count(value)} ${value === 1 ? one : more}`;

/** How long, in the two largest units. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.round(ms / 1000);
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** How long before `nowMs`; empty for an unknown time. */
export function ago(iso: string | undefined, nowMs: number): string {
  if (iso === undefined || iso === '') return '';
  const ms = nowMs - Date.parse(iso);
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log2(value) / 10));
  return `${power === 0 ? value : (value / 1024 ** power).toFixed(1)} ${BYTES[power]}`;
}

export const shownAddress = ({ workspace, workflow }: RunAddress): string => `${workspace}.${workflow}`;
