// C0, DEL and C1 control characters, the separators that break lines (U+2028, U+2029), and the controls that turn the direction
// of what follows (U+202A to U+202E, U+2066 to U+2069): with them a text looks like another one in a log or on a terminal.
const CONTROLS = '\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069';
const CONTROL = new RegExp(`[${CONTROLS}]`);
const EACH_CONTROL = new RegExp(CONTROL, 'g');
/** Of a JSON text: what JSON.stringify has not escaped, its own line ends aside. */
const EACH_IN_JSON = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A source for regular expressions and JSON Schema: texts without control characters. */
export const PLAIN_TEXT = `^[^${CONTROLS}]*$`;

/** Why a text may not be an id or a header; undefined if it may. */
export function unfitText(text: string): string | undefined {
  if (CONTROL.test(text)) return 'a string with a control character';
  return text.isWellFormed() ? undefined : 'a string with a lone surrogate';
}

const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** `text` on one line of at most `limit` characters, with control characters written as `\u000a`. */
export function printable(text: string, limit = 1000): string {
  const shown = text.slice(0, limit).replace(EACH_CONTROL, escaped).toWellFormed();
  return text.length > limit ? `${shown}…` : shown;
}

/** The same JSON with its control characters escaped, also those that JSON lets stand. */
export function printableJson(json: string): string {
  return json.replace(EACH_IN_JSON, escaped);
}
