/** Owns the options of a task: their types, their names on the host's side, and what is refused at once. */

/** A size: a number and a unit; alone, a number is bytes. */
export type Size = `${number}${"B" | "kB" | "KB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB"}` | number;

/** A duration: a number and a unit. */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** Any other text, without hiding from an editor what is expected. */
type Text = string & {};

/** A file or folder that a task may use. Paths are relative to the project and have the same name inside. */
export type AllowedFile = string | { readonly path: string; readonly mode?: "ro" | "rw" };

/** What a task is given to run with. The host reads the values while the program is loaded, and says what it can't read. */
export interface TaskOptions {
  /** Identifier. The task named "main" is the entry of the program. */
  readonly name: string;
  /** Fuel of one attempt: "LOW", "MEDIUM" (the default), "HIGH", or an exact number. */
  readonly compute?: "LOW" | "MEDIUM" | "HIGH" | number | `${bigint}` | Text | undefined;
  /** Cap on memory, such as "64MB" or "1GiB"; 512MB by default. */
  readonly ram?: Size | Text | undefined;
  /** Wall time of one attempt, such as "500ms", "30s", "5m"; none by default. */
  readonly timeout?: Duration | Text | undefined;
  /** Further attempts after a failure; 1 by default. */
  readonly maxRetries?: number | undefined;
  /** Files and folders that the task may use: "./data", or `{ path: "./data", mode: "ro" }`; none by default. */
  readonly allowedFiles?: readonly AllowedFile[] | undefined;
  /** Hosts for HTTP, such as "api.example.com" or "*.example.com"; all public hosts by default, none with `[]`. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Names of environment variables that the task sees; none by default. */
  readonly envVariables?: readonly string[] | undefined;
  /**
   * Whether it may run again if its process died in the middle of it; true by default. If not, it fails with the type
   * "interrupted" when the run is resumed, for its caller to decide.
   */
  readonly idempotent?: boolean | undefined;
}

const HOST_NAMES: Readonly<Record<string, string>> = {
  name: "name",
  compute: "compute",
  ram: "ram",
  timeout: "timeout",
  maxRetries: "max_retries",
  allowedFiles: "allowed_files",
  allowedHosts: "allowed_hosts",
  envVariables: "env_variables",
  idempotent: "idempotent",
};

/**
 * Checks what task() was given.
 *
 * @returns the name, and the other options under the host's names
 * @throws TypeError an unknown option, no name, or a value of a type that no option has
 */
export function readOptions(given: unknown): { name: string; options: Record<string, unknown> } {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError('task() takes options and a function: task({ name: "…" }, () => …)');
  }
  const options: Record<string, unknown> = {};
  for (const [option, value] of Object.entries(given)) {
    if (!Object.hasOwn(HOST_NAMES, option)) throw new TypeError(unknown(option));
    if (value !== undefined && value !== null) options[HOST_NAMES[option]!] = value;
  }
  const { name, ...rest } = options;
  if (name === undefined) throw new TypeError('a task needs a name: task({ name: "…" }, …)');
  if (typeof name !== "string" || name === "") throw new TypeError("a task's name must be a string that isn't empty");
  for (const [option, value] of Object.entries(rest)) rest[option] = plain(value, `task "${name}": ${original(option)}`);
  return { name, options: rest };
}

function original(hostName: string): string {
  return Object.keys(HOST_NAMES).find((key) => HOST_NAMES[key] === hostName)!;
}

function unknown(option: string): string {
  const known = Object.keys(HOST_NAMES);
  const near = nearest(option, known);
  return `task() has no option "${option}"; ${near ? `did you mean "${near}"?` : `options are ${known.join(", ")}`}`;
}

/** An option's value as JSON can say it; what it means is the host's to judge. */
function plain(value: unknown, where: string): unknown {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map((item) => plain(item, where));
  if (typeof value === "object" && value !== null && isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => inner !== undefined)
        .map(([key, inner]) => [key, plain(inner, where)]),
    );
  }
  const what = typeof value === "object" ? (value === null ? "null" : value.constructor?.name) : typeof value;
  throw new TypeError(`${where} can't be ${typeof value === "number" ? value : `a ${what}`}`);
}

function isRecord(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The known name that an unknown one was meant to be, if there is one near enough. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const bare = (text: string) => text.replace(/[-_\s]/g, "").toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(bare(name), bare(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0]!;
  return best.distance <= Math.max(best.candidate.length, name.length) / 2.5 ? best.candidate : undefined;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  if (a.length > 100) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, swap);
    }
    row = next;
  }
  return row[b.length]!;
}
