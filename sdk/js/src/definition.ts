/** Owns what a task is made of, and the list of all tasks, which the host reads when an application is loaded. */
import { callerOf, type Place } from "./place.js";

/** A function that is a task's, whatever it takes. */
export type Handler = (...args: any[]) => unknown;

/** One task. */
export interface Definition {
  readonly name: string;
  readonly handler: Handler;
  /** Whether the handler is an `async` function: then a call gives a Promise at once. */
  readonly isAsync: boolean;
  /** Whether a handler that isn't `async` was seen to return a Promise. */
  promises: boolean;
  /** What task() was given, `name` left out, under the host's names. */
  readonly options: Record<string, unknown>;
  /** Made where task() was called, and the file that task() itself is in. */
  readonly origin: Error;
  readonly ownFile: string | undefined;
  /** The headers of its calls, for arguments that are plain JSON and that are tagged. */
  readonly headers: readonly [plain: string, tagged: string];
}

/** What the host is told of a task. */
export interface RegisteredTask {
  name: string;
  qualname: string;
  file: string;
  line: number;
  async: boolean;
  options: Record<string, unknown>;
}

/** All tasks, in the order of their definition. Two of one name are both here: the host refuses them with both places. */
const registry: Definition[] = [];
const byName = new Map<string, Definition>();

/** The task of a name. */
export function found(name: string): Definition | undefined {
  return byName.get(name);
}

const AsyncFunction = (async () => {}).constructor;

/** Makes a task of a handler and registers it. */
export function define(
  name: string,
  handler: Handler,
  options: Record<string, unknown>,
  origin: Error,
  ownFile: string | undefined,
): Definition {
  const text = JSON.stringify(name);
  const made: Definition = {
    name,
    handler,
    isAsync: handler instanceof AsyncFunction,
    promises: false,
    options,
    origin,
    ownFile,
    headers: [
      `{"op":"task.call","task":${text},"tagged":false}`,
      `{"op":"task.call","task":${text},"tagged":true}`,
    ],
  };
  registry.push(made);
  if (!byName.has(name)) byName.set(name, made);
  return made;
}

/**
 * What the host is told of all tasks.
 *
 * @param locate maps a place in what was executed to the user's source, where `Error.stack` hasn't done so yet
 */
export function describe(locate: (place: Place) => Place = (place) => place): RegisteredTask[] {
  return registry.map((one) => {
    const { file, line } = locate(callerOf(one.origin, one.ownFile));
    const qualname = one.handler.name || one.name;
    return { name: one.name, qualname, file, line, async: one.isAsync, options: one.options };
  });
}
