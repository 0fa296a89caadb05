/** Owns the advice for a task that didn't reach a file: it's perhaps none of those that it was given. */
import { found } from "./definition.js";
import { running } from "./header.js";

const NOT_REACHED = new Set(["ENOENT", "EACCES", "EPERM", "ENOTCAPABLE", "EROFS"]);

/** What could help where an access failed with this code. */
export function hint(path: string, code: string): string | undefined {
  const task = found(running()?.task ?? "");
  if (task === undefined || !NOT_REACHED.has(code)) return undefined;
  const allowed = (task.options["allowed_files"] ?? []) as (string | { path: string; mode?: string })[];
  const over = allowed.find((item) => isWithin(plainPath(path), plainPath(typeof item === "string" ? item : item.path)));
  if (over === undefined) return `a task sees the files that its allowedFiles lists, and those of "${task.name}" don't include this`;
  const readOnly = typeof over !== "string" && over.mode === "ro";
  return readOnly && code !== "ENOENT" ? `allowedFiles lists it with mode "ro"` : undefined;
}

/** A path from the project on, without "." and "..". */
function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.replace(/^\/project(?=\/|$)/, ".").split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return (path.startsWith("/") && !path.startsWith("/project") ? "/" : "") + parts.join("/");
}

function isWithin(path: string, folder: string): boolean {
  return folder === "" || path === folder || path.startsWith(`${folder}/`);
}
