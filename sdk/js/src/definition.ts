/** Owns what a task is made of, and the list of all tasks, which the host reads when an application is loaded. */

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
  /** Where task() was called. */
  readonly origin: Error;
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
export function define(name: string, handler: Handler, options: Record<string, unknown>, origin: Error): Definition {
  const text = JSON.stringify(name);
  const made: Definition = {
    name,
    handler,
    isAsync: handler instanceof AsyncFunction,
    promises: false,
    options,
    origin,
    headers: [
      `{"op":"task.call","task":${text},"tagged":false}`,
      `{"op":"task.call","task":${text},"tagged":true}`,
    ],
  };
  registry.push(made);
  if (!byName.has(name)) byName.set(name, made);
  return made;
}

/** A place in a program. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/**
 * What the host is told of all tasks.
 *
 * @param locate maps a place in what was executed to the user's source, where `Error.stack` hasn't done so yet
 */
export function describe(locate: (place: Place) => Place = (place) => place): RegisteredTask[] {
  return registry.map((one) => {
    const { file, line } = locate(caller(one.origin));
    const qualname = one.handler.name || one.name;
    return { name: one.name, qualname, file, line, async: one.isAsync, options: one.options };
  });
}

const FRAME = /^\s*at (?:.*?\()?([^()]+?):(\d+)(?::(\d+))?\)?$/;

/** The first frame that isn't in the file of the one on top, which is this package's. */
function caller(origin: Error): Place {
  const frames = String(origin.stack)
    .split("\n")
    .map((line) => FRAME.exec(line))
    .filter((match) => match !== null)
    .map(([, file, line, column]) => ({ file: file!, line: Number(line), column: Number(column ?? 1) }));
  const own = frames[0]?.file;
  return frames.find((frame) => frame.file !== own) ?? frames[1] ?? { file: "?", line: 0, column: 0 };
}
