/**
 * Owns the call of this sandbox: what the guest's runtime hands on (guest/js/runtime/main.ts). Bundled into the guest's image.
 *
 * call() runs once in every sandbox, on memory that was copied from the image, so it's written for few steps and few
 * written pages.
 */
import * as api from "./api.js";
import { inside } from "./calls.js";
import { CodecError, decode, encode, encodeSimple, type Written } from "./codec.js";
import { setFuelLeft } from "./context.js";
import { type Definition, describe, found } from "./definition.js";
import type { ErrorType } from "./errors.js";
import { errorHeader, failureOf, loadFailure, plainFailure } from "./failure.js";
import { type FileSystem, setFileSystem } from "./files.js";
import { enter, leave } from "./header.js";
import { hint } from "./hint.js";
import { type Message, tooLong } from "./message.js";
import { type Operations, setOperations } from "./operations.js";
import { setRuntime } from "./runtime.js";
import { setWaiting } from "./waiting.js";
import { waitingInside } from "./waiting_inside.js";

export type { RegisteredTask } from "./definition.js";
export type { Failure } from "./failure.js";
export type { Message } from "./message.js";
export type { Operations } from "./operations.js";
export type { Place } from "./place.js";
export { describe, errorHeader, failureOf, leave, loadFailure };

/** What the runtime gives. */
export interface Guest {
  operations: Operations;
  files: FileSystem;
  /** What this attempt may still use, in fuel. */
  fuelLeft(): number;
}

const { apply } = Reflect;

/** What `import … from "@capsule-run/sdk"` gives in a sandbox. */
export const sdk = { ...api, env: {} as Record<string, string> };

/** Gets ready, while the base image is built. */
export function install(guest: Guest): void {
  setOperations(guest.operations);
  setRuntime(inside);
  setWaiting(waitingInside);
  setFileSystem({ ...guest.files, hint });
  setFuelLeft(guest.fuelLeft);
}

/** A reply: the body alone if its header is {"ok":true,"tagged":false}. */
export type Reply = string | Message;

/** Runs a task: once in every sandbox. Throws nothing, and its Promise is never rejected. */
export function call(headerText: string, bodyText: string): Reply | Promise<Reply> {
  try {
    const { task: name, outer, tagged, env } = enter(headerText);
    const task = found(name);
    if (task === undefined) return refusal("not_found", `there is no task "${name}"`);
    if (env !== undefined) Object.assign(sdk.env, env);
    let args: unknown[];
    try {
      args = argumentsOf(bodyText, tagged);
    } catch (error) {
      return refusal("bad_input", `the arguments can't be read: ${(error as Error).message}`);
    }
    const result = apply(task.handler, undefined, args);
    if (typeof result === "object" && result !== null && typeof (result as { then?: unknown }).then === "function") {
      return settled(task, result as PromiseLike<unknown>, outer);
    }
    return encodeSimple(result) ?? encoded(result, outer, false);
  } catch (error) {
    return [errorHeader(failureOf(error)), ""];
  }
}

/** JavaScript has no keyword arguments: those that the command line was given are one object, after the others. */
function argumentsOf(bodyText: string, tagged: boolean): unknown[] {
  const both = decode(bodyText, tagged) as [unknown[], Record<string, unknown>];
  const args = both[0];
  if (!bodyText.endsWith(",{}]") && Object.keys(both[1]).length > 0) args.push(both[1]);
  return args;
}

/** `await` rather than then(): a program may have replaced Promise.prototype.then. */
async function settled(task: Definition, promise: PromiseLike<unknown>, outer: boolean): Promise<Reply> {
  try {
    const result = await promise;
    return (task.isAsync ? encodeSimple(result) : undefined) ?? encoded(result, outer, !task.isAsync);
  } catch (error) {
    return [errorHeader(failureOf(error), !task.isAsync), ""];
  }
}

function encoded(result: unknown, outer: boolean, isAsync: boolean): Reply {
  let written: Written;
  try {
    written = encode(result, "result", outer);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return refusal("bad_output", error.message);
  }
  const { text, tagged } = written;
  const excess = tooLong(text);
  if (excess !== undefined) return refusal("bad_output", `the result is ${excess}. Write it to a file instead`);
  if (!tagged && !isAsync) return text;
  return [`{"ok":true,"tagged":${tagged}${isAsync ? ',"async":true' : ""}}`, text];
}

function refusal(type: ErrorType, message: string): Message {
  return [errorHeader(plainFailure(type, message)), ""];
}
