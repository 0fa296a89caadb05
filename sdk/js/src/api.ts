/** Owns the list of what programs see of this package, wherever they run; `env` is added by index.ts and inside.ts. */
export { type Context, context } from "./context.js";
export {
  type ErrorType,
  type Execution,
  type HostRequest,
  NonRetryable,
  SignalTimeout,
  TaskError,
  type TaskErrorDetails,
} from "./errors.js";
export { type FileError, files } from "./files.js";
export type { Handle } from "./handle.js";
export type { MapOptions } from "./map.js";
export type { AllowedFile, Duration, Size, TaskOptions } from "./options.js";
export { type Task, type TaskMethods, task } from "./task.js";
export type { JsonLike } from "./values.js";
export { version } from "./version.js";
export { type AbortSignalLike, sleep, type WaitOptions, type WaitSignalOptions, waitSignal } from "./waiting.js";
