/*
 * What one payload may cost. A message that is wrong, or made to be, must hold the event loop for some tenths of a
 * second at most, and its dead letter must stay small.
 */

/** Most errors reported for a payload. The first ones are what a producer can act on. */
export const MAX_FIELD_ERRORS = 100;

/** Longest path or message of an error, in UTF-16 units. A hostile key may be as long as the message that carries it. */
export const MAX_TEXT = 256;

/**
 * Most items of an array, and most keys of an object, anywhere in a payload. An array property may have more when its
 * `@ArrayMaxSize` says so. Some rules (`@ArrayUnique`) need square time.
 */
export const MAX_ITEMS = 10_000;

/**
 * Most work for a payload that only the libraries can check: one for every value, nested ones included, and
 * keys² / 1,000 for every object. class-validator takes 1 to 3 us for a value; class-transformer compares each key of an
 * object with each other one, about 1 ns a time.
 */
export const MAX_LIBRARY_WORK = 100_000;
