/** Owns durations and moments as people write them, in nanoseconds; the same grammar as the host's (src/base/units.h). */

/** The longest duration. */
const DAYS_MAX = 36_500;

const MS = 1_000_000n;
const DAY = 86_400_000n * MS;
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  ms: MS,
  s: 1000n * MS,
  m: 60_000n * MS,
  h: 3_600_000n * MS,
  d: DAY,
};
const WRITTEN = /^([0-9]+)(?:\.([0-9]+))? ?(ns|us|ms|s|m|h|d)$/i;
const TEXT_MAX = 64;
const UNTIL_MAX = 2n ** 63n - 1n; // in the year 2262

/** What a duration may be, for messages. */
export const FORMS = 'a number of milliseconds, "500ms", "30s", "5m", "1h" or "7d"';

/**
 * Reads a duration: milliseconds as a number, or a number with a unit.
 *
 * @param what how messages begin
 * @throws TypeError for what is neither a number nor a string, RangeError for one that isn't a duration
 */
export function nanoseconds(value: unknown, what: string, forms = FORMS): bigint {
  if (typeof value !== "number" && typeof value !== "string") {
    throw new TypeError(`${what} can't be ${kindOf(value)}; write ${forms}`);
  }
  const ns = typeof value === "string" ? ofText(value) : Number.isFinite(value) ? ofNumber(value) : undefined;
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, TEXT_MAX)) : String(value);
  if (ns === undefined) throw new RangeError(`${what}: ${shown} isn't a duration; write ${forms}`);
  if (ns < 0n) throw new RangeError(`${what}: ${shown} is negative; write ${forms}`);
  if (ns > BigInt(DAYS_MAX) * DAY) throw new RangeError(`${what}: ${shown} is more than the maximum, ${DAYS_MAX} days`);
  return ns;
}

/** In the message of a TypeError: what was given. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  return `a ${value.constructor?.name || "object"}`;
}

function ofNumber(ms: number): bigint {
  const ns = ms * 1e6;
  return Number.isFinite(ns) ? BigInt(Math.round(ns)) : BigInt(Math.round(ms)) * MS;
}

function ofText(text: string): bigint | undefined {
  const match = text.length <= TEXT_MAX ? WRITTEN.exec(text) : null;
  if (match === null) return undefined;
  const [, whole, fraction = "", unit] = match;
  return (BigInt(whole! + fraction) * UNITS[unit!.toLowerCase()]!) / 10n ** BigInt(fraction.length);
}

/**
 * Reads a moment: nanoseconds since 1970, at least 0.
 *
 * @throws RangeError for a Date that is invalid, or beyond what the clock can count
 */
export function moment(value: Date, what: string): bigint {
  const ms = Date.prototype.getTime.call(value);
  if (Number.isNaN(ms)) throw new RangeError(`${what}: the Date is invalid`);
  const ns = BigInt(ms) * MS;
  if (ns > UNTIL_MAX) throw new RangeError(`${what}: ${value.toISOString()} is beyond the year 2261`);
  return ns > 0n ? ns : 0n;
}
