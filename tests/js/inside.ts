/** The inner half of the SDK on a fake host, for tests. Each test file is a bundle of its own, so it has one of these. */
import { call, install, leave, type Reply, sdk } from "../../sdk/js/src/inside.js";
import { FakeHost } from "./fake_host.js";

export const { task } = sdk;
let names = 0;
let current: FakeHost | undefined;

export interface Options {
  outer?: boolean;
  tagged?: boolean;
  [more: string]: unknown;
}

export function headerOf(name: string, { outer = true, tagged = false, ...more }: Options = {}): string {
  return JSON.stringify({ task: name, run_id: "R", task_id: 7, attempt: 1, key: "R/7", ...more, outer, tagged });
}

/** Connects the SDK to a host whose tasks are the given functions. */
export function connect(tasks: Record<string, (...args: any[]) => unknown> = {}): FakeHost {
  current?.close();
  const host = (current = new FakeHost(tasks));
  install({
    operations: host,
    fuelLeft: () => 12345,
    files: { read: denied, write: denied, list: denied, exists: () => false },
  });
  return host;
}

function denied(path: string): never {
  throw Object.assign(new Error(`ENOENT: no such file or directory: '${path}'`), { code: "ENOENT" });
}

/** Runs `body` as the code of a task; what it returns or throws. */
export function within<T>(body: () => T): T {
  let outcome: { value: T } | { error: unknown } | undefined;
  const name = `within ${++names}`;
  task({ name }, () => {
    try {
      outcome = { value: body() };
    } catch (error) {
      outcome = { error };
    }
    return null;
  });
  const reply = call(headerOf(name), "[[],{}]");
  if (outcome === undefined) throw new Error(`the task didn't run: ${String(reply)}`);
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** The reply of a call of a new task with this function, as [header, body]. */
export async function replyOf(
  handler: (...args: any[]) => unknown,
  body = "[[],{}]",
  options: Options = {},
): Promise<[header: any, body: string]> {
  const name = `task ${++names}`;
  task({ name, ...(options["options"] as object | undefined) }, handler);
  const reply: Reply = await call(headerOf(name, options), body);
  leave();
  return typeof reply === "string" ? [{ ok: true, tagged: false }, reply] : [JSON.parse(reply[0]), reply[1]];
}
