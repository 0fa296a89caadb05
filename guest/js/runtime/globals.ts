/**
 * Owns the globals that aren't the web's: Math.random on the host's randomness, `process.env`, and a `require` for bundled CommonJS code.
 */
import * as native from "capsule:native";
import * as inside from "../../../sdk/js/src/inside.js";
import { define } from "./web/expose.js";

/** The bundler leaves a call of require() where it can't tell the module, or where failing is expected. */
function require(name: unknown): unknown {
  if (name === "@capsule-run/sdk") return inside.sdk;
  const error: Error & { code?: string } = new Error(
    `Cannot find module '${String(name)}': there are no Node.js modules in a sandbox, and a bundle has only the modules that it names literally`,
  );
  error.code = "MODULE_NOT_FOUND";
  throw error;
}

/** Packages for Node end their process; here that's a mistake which says so. */
function exit(): never {
  throw new Error("process.exit() isn't there in a sandbox: return from the task, or throw an error");
}

/** Defines them. Once, while the base image is built. */
export function install(): void {
  define(Math, "random", native.random);
  define(globalThis, "require", require);
  define(globalThis, "process", Object.defineProperty({ env: inside.sdk.env }, "exit", { value: exit, writable: true, configurable: true }));
}
