/**
 * Write tasks that run in sandboxes of their own: `capsule run main.ts`.
 *
 * This is the package as it is outside of a sandbox, under plain Node or a test runner: a task is an ordinary function
 * call. Inside, the same names come from the guest's image (inside.ts).
 *
 * @packageDocumentation
 */
export * from "./api.js";
export { env } from "./outside.js";
