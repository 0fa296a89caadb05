/** Owns what a message of guest/abi.h is here, and how long it may be. */

/** A message: its header, and its body as text. */
export type Message = [header: string, body: string];

/** The header of the common reply. */
export const PLAIN = '{"ok":true,"tagged":false}';

/** A message holds 64 MiB; the header's share is taken off. */
const BODY_MAX = 63 * 1024 * 1024;

/** Whether JSON is too long for a message; then what to say of it. */
export function tooLong(text: string): string | undefined {
  if (text.length * 3 <= BODY_MAX) return undefined; // a character is at most three bytes of UTF-8
  const bytes = text.length > BODY_MAX ? text.length : new TextEncoder().encode(text).length;
  if (bytes <= BODY_MAX) return undefined;
  return `${Math.ceil(bytes / 1e6)} MB of JSON, and a message holds ${Math.floor(BODY_MAX / 1e6)} MB`;
}
