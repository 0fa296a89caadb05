/**
 * The runtime: what guest/js/shim.c calls. Evaluated once, while the base image is built.
 *
 * beginLoad() and endLoad() stand around the evaluation of an application, once in its image; call() runs once in every sandbox, on memory that
 * was copied from the image, so it's written for few steps and few touched pages.
 */
import * as native from "capsule:native";
import * as inside from "../../../sdk/js/src/inside.js";
import * as globals from "./globals.js";
import * as trace from "./trace.js";
import { takeText, whenDone } from "./web/completion.js";
import { install, refresh } from "./web/install.js";

export { sdk } from "../../../sdk/js/src/inside.js";

interface LoadHeader {
  entry: string;
  /** Bytes of the body that are the bundle; the rest is its source map. */
  code: number;
}

/** The host as the SDK wants it. */
const guest: inside.Guest = {
  operations: {
    submit: native.submit,
    wait: native.wait,
    take: takeText,
    expect: whenDone,
    pump: native.pump,
    cancel: native.cancel,
  },
  files: {
    read: native.readFile,
    write: native.writeFile,
    list: native.listFolder,
    exists: native.fileExists,
  },
  fuelLeft: native.fuelLeft,
};

install(globalThis);
trace.install();
inside.install(guest);
globals.install();

/** Before an application is evaluated; returns how many bytes of the body are its bundle. */
export function beginLoad(header: string, body: Uint8Array): number {
  const { code }: LoadHeader = JSON.parse(header);
  trace.keepSourceMap(native.decodeUtf8(body.subarray(code), false));
  return code;
}

/** After it was evaluated: the header of guest_load's reply. */
export function endLoad(): string {
  const tasks = inside.describe();
  native.forgetRandom();
  return JSON.stringify({ ok: true, tasks });
}

/** The header of a reply that tells of a failure. */
export function failed(error: unknown): string {
  return inside.errorHeader(inside.failureOf(error));
}

/** Runs a task. The body of the reply, or header and body where the header isn't the usual one. */
export function call(header: string, body: string): inside.Reply | Promise<inside.Reply> {
  refresh();
  return inside.call(header, body);
}
