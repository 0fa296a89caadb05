/**
 * Owns what an error's `stack` shows: the user's files and lines instead of the bundle's, and nothing of the runtime.
 *
 * The engine keeps the frames as text; they're looked up when somebody reads `stack`, which most errors never see. The text begins with the
 * error's name and message, as V8 has it and libraries expect it.
 */
import * as native from "capsule:native";

/** What the bundle and the runtime are called in the engine's frames. */
const BUNDLE = /capsule:app:(\d+):(\d+)/;
const RUNTIME = /\(capsule:runtime:|\(native\)$|^ {4}at capsule:runtime:/;
const FRAMES = /^ {4}at /;

let sources: string[] = [];

/** The project's folder in a sandbox; sources are relative to it. */
const PROJECT = "/project";

function absolute(source: string): string {
  const parts: string[] = [];
  for (const part of `${PROJECT}/${source}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Takes the bundle's source map (version 3, JSON); "" forgets the one before. */
export function keepSourceMap(json: string): void {
  const map = json === "" ? { sources: [], mappings: "" } : JSON.parse(json);
  sources = map.sources.map(absolute);
  native.keepSourceMap(map.mappings);
}

/** Where a position of the bundle comes from, `file:line:column`; null: from nowhere, such as the bundler's own helpers. */
type Place = string | null;

interface Position {
  index: number;
  line: number;
  column: number;
}

/** The places of all frames of a trace, in one pass over the map. */
function places(frames: string[]): Map<number, Place> {
  const positions: Position[] = [];
  frames.forEach((frame, index) => {
    const found = BUNDLE.exec(frame);
    if (found) positions.push({ index, line: Number(found[1]), column: Number(found[2]) });
  });
  positions.sort((a, b) => a.line - b.line || a.column - b.column);
  const found = native.locate(positions.flatMap((p) => [p.line, p.column]));
  const result = new Map<number, Place>();
  positions.forEach(({ index }, i) => {
    const [source, line, column] = found.slice(3 * i, 3 * i + 3) as [number, number, number];
    result.set(index, source < 0 || source >= sources.length ? null : `${sources[source]}:${line}:${column}`);
  });
  return result;
}

/** The engine's frames as users see them: each line begins with "    at ". */
export function mapFrames(text: string): string {
  const frames = text.split("\n").filter((frame) => frame !== "");
  const found = places(frames);
  const shown = frames.map((frame, index) => {
    const place = found.get(index);
    if (place === undefined) return RUNTIME.test(frame) ? null : frame;
    return place === null ? null : frame.replace(BUNDLE, () => place).replace("at <anonymous> (", "at (");
  });
  return shown.filter((frame) => frame !== null).join("\n").replaceAll(/at \((.*)\)$/gm, "at $1");
}

const own = Object.getOwnPropertyDescriptor(Error.prototype, "stack")!;
const { toString } = Error.prototype;

function headline(error: Error): string {
  try {
    return toString.call(error);
  } catch {
    return "Error";
  }
}

/** The frames of an error as the engine keeps them; "" for what has none. */
export function rawFrames(error: Error): string {
  const frames: unknown = own.get!.call(error);
  return typeof frames === "string" ? frames : "";
}

function shownStack(this: Error): unknown {
  const frames: unknown = own.get!.call(this);
  if (typeof frames !== "string" || (frames !== "" && !FRAMES.test(frames))) return frames;
  const shown = mapFrames(frames);
  return shown === "" ? headline(this) : `${headline(this)}\n${shown}`;
}

const capture = Error.captureStackTrace;

/** As the engine's own, but what it leaves on an object is looked up when it's read, as on errors. */
function captureStackTrace(target: object, above?: Function): void {
  capture(target, above);
  const frames = Object.getOwnPropertyDescriptor(target, "stack")?.value;
  if (typeof frames !== "string") return;
  let shown: unknown;
  Object.defineProperty(target, "stack", {
    get: () => (shown ??= `${headline(target as Error)}\n${mapFrames(frames)}`),
    set: (value) => (shown = value),
    configurable: true,
  });
}

/** Puts the accessors in place. Once, while the base image is built. */
export function install(): void {
  Object.defineProperty(Error.prototype, "stack", { ...own, get: shownStack });
  Object.defineProperty(Error, "captureStackTrace", { value: captureStackTrace, writable: true, configurable: true });
}
