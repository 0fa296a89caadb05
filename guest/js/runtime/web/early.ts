/**
 * Owns the globals that packages look for while they are evaluated: whatwg-url makes a TextEncoder, web-streams-polyfill asks whether there
 * is an AbortController. Import this before them.
 */
import { AbortController, AbortSignal } from "./abort.js";
import { TextDecoder, TextEncoder } from "./encoding.js";
import { exposeInterfaces } from "./expose.js";

exposeInterfaces(globalThis, { AbortController, AbortSignal, TextDecoder, TextEncoder });
