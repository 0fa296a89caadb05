/** Owns `files`: what a task may do with the files and folders that its `allowedFiles` names. */

/** How files are reached: through the host of a sandbox, or node:fs. Errors have a `code` such as "ENOENT". */
export interface FileSystem {
  read(path: string): Uint8Array | Promise<Uint8Array>;
  write(path: string, data: Uint8Array): void | Promise<void>;
  list(path: string): string[] | Promise<string[]>;
  exists(path: string): boolean | Promise<boolean>;
  /** What could help somebody whose access failed. */
  hint?(path: string, code: string): string | undefined;
}

let system: FileSystem;

/** Chooses how files are reached. */
export function setFileSystem(chosen: FileSystem): void {
  system = chosen;
}

/** An access that failed. */
export interface FileError extends Error {
  /** "ENOENT", "EACCES", "EISDIR", "EROFS", … */
  readonly code: string;
  readonly path: string;
}

function checkedPath(path: unknown): string {
  if (typeof path !== "string") throw new TypeError(`a path is a string, not ${path === null ? "null" : typeof path}`);
  if (path === "") throw new TypeError("a path can't be empty");
  if (path.includes("\0")) throw new TypeError("a path can't contain a NUL character");
  return path;
}

function bytesOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new TypeError("writeBytes() takes a Uint8Array or an ArrayBuffer; for text there is writeText()");
}

/** The system's error, with a hint where there is one. */
function explained(error: unknown, path: string): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (!(error instanceof Error) || typeof code !== "string") return error;
  const hint = system.hint?.(path, code);
  return hint === undefined ? error : Object.assign(new Error(`${error.message}; ${hint}`), { code, path });
}

async function access<T>(path: unknown, how: (path: string) => T | Promise<T>): Promise<T> {
  const name = checkedPath(path);
  try {
    return await how(name);
  } catch (error) {
    throw explained(error, name);
  }
}

/**
 * Files and folders, in a sandbox those that the task's `allowedFiles` names; relative paths begin at the project.
 *
 * Where something isn't there or isn't allowed, the Promise is rejected with an Error with a `code` ("ENOENT",
 * "EACCES", …) that names the path.
 */
export const files = Object.freeze({
  /** Reads a file as UTF-8; malformed bytes become U+FFFD. */
  readText(path: string): Promise<string> {
    return access(path, async (name) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(await system.read(name)));
  },

  /** Reads a file. */
  readBytes(path: string): Promise<Uint8Array> {
    return access(path, (name) => system.read(name));
  },

  /** Writes a file in UTF-8, in the place of what is there. Its folder has to exist. */
  writeText(path: string, content: string): Promise<void> {
    return access(path, (name) => {
      if (typeof content !== "string") throw new TypeError(`writeText() takes a string, not ${typeof content}`);
      return system.write(name, new TextEncoder().encode(content));
    });
  },

  /** Writes a file, in the place of what is there. Its folder has to exist. */
  writeBytes(path: string, data: Uint8Array | ArrayBuffer | ArrayBufferView): Promise<void> {
    return access(path, (name) => system.write(name, bytesOf(data)));
  },

  /** The names of what is in a folder, sorted. */
  list(path: string): Promise<string[]> {
    return access(path, async (name) => (await system.list(name)).sort());
  },

  /** Whether a file or folder is there, for this task. */
  exists(path: string): Promise<boolean> {
    return access(path, (name) => system.exists(name));
  },
});
