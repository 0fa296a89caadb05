/**
 * Owns the header of the call that runs (guest/abi.h).
 *
 * Every sandbox reads one, and most need nothing of it but the task's name and two flags: those are cut out of the text,
 * which begins with the name and ends with the flags. The rest is parsed if somebody asks. A header that is written in
 * another way is parsed at once.
 */

/** The header of a call. */
export interface CallHeader {
  task: string;
  run_id: string;
  task_id: number;
  attempt: number;
  key: string;
  deadline_ns?: number;
  env?: Record<string, string>;
  outer: boolean;
  tagged: boolean;
}

/** What every call needs. */
export type Begun = Pick<CallHeader, "task" | "env" | "outer" | "tagged">;

const { parse } = JSON;

const BEGIN = '{"task":"';
const BRACE = 125;
const BACKSLASH = "\\";

let text: string | undefined;
let parsed: CallHeader | undefined;

/** Reads the header of the call that begins, and keeps it. */
export function enter(header: string): Begun {
  text = header;
  return cut(header) ?? all(header);
}

function all(header: string): CallHeader {
  return (parsed ??= parse(header) as CallHeader);
}

function cut(header: string): Begun | undefined {
  const end = header.indexOf('"', BEGIN.length);
  const tail = header.lastIndexOf(',"outer":');
  // Before the flags comes "key" or "deadline_ns", or the brace that ends "env".
  if (tail < end || header.charCodeAt(tail - 1) === BRACE || !header.startsWith(BEGIN)) return undefined;
  const task = header.slice(BEGIN.length, end);
  if (task.includes(BACKSLASH)) return undefined;
  switch (header.slice(tail)) {
    case ',"outer":false,"tagged":false}':
      return { task, outer: false, tagged: false };
    case ',"outer":true,"tagged":false}':
      return { task, outer: true, tagged: false };
    case ',"outer":false,"tagged":true}':
      return { task, outer: false, tagged: true };
    default:
      return undefined;
  }
}

/** The header of the call that runs; undefined outside a sandbox and while an image is built. */
export function running(): CallHeader | undefined {
  return text === undefined ? undefined : all(text);
}

/** Whether a call runs. */
export function isRunning(): boolean {
  return text !== undefined;
}

/** Forgets the call: for what the base image runs to warm up, and for tests. */
export function leave(): void {
  text = parsed = undefined;
}
