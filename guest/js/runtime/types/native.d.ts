/**
 * `capsule:native`: what the C shim (guest/js/module.c) gives to the runtime. Nothing of it reaches user code as it is: the host
 * trusts no guest, but a program that broke its own runtime would be hard to explain.
 */
declare module "capsule:native" {
  /**
   * Starts a host operation (guest/abi.h). `body`: raw bytes. Returns its number, or 0 while too many are open. Throws an Error whose
   * message a user understands.
   */
  export function submit(header: string, body?: Uint8Array | string): number;
  /** Parks the whole sandbox until `op` is done; false if it isn't within `timeoutMs` (negative: no limit). */
  export function wait(op: number, timeoutMs: number): boolean;
  /** The reply of an operation that is done: its header and body; frees the operation. Throws if it isn't done. */
  export function take(op: number): [header: string, body: Uint8Array];
  /** The same with the body as text; faster when it's JSON. */
  export function takeText(op: number): [header: string, body: string];
  /** Asks the host to end an operation soon; it's still completed, and its reply has to be taken. */
  export function cancel(op: number): void;
  /** What this attempt may still use, in fuel. */
  export function fuelLeft(): number;

  /** Registers the function that the event loop calls with each operation's number when it's done and nobody waited for it. */
  export function onDone(callback: (op: number) => void): void;
  /** Registers the function that runs due timers; it returns milliseconds until the next one, or -1 if there is none. */
  export function onTimers(callback: () => number): void;
  /** The event loop waits for this operation, until it's done or its reply is taken: a promise that nothing is left to settle is an error. */
  export function watch(op: number): void;
  /** Parks the sandbox until operations are done that nobody was told of, and calls what onDone() registered for each. */
  export function pump(): void;

  /** Frees what only cycles still hold, now. */
  export function collect(): void;

  /** Monotonic milliseconds with fractions, since the sandbox's clock began. */
  export function monotonicMs(): number;
  /** Fills a view with random bytes from the host. */
  export function randomFill(view: Uint8Array): void;
  /** SHA-1, SHA-256, SHA-384 or SHA-512 (the name in exactly this spelling) of bytes. */
  export function digest(algorithm: string, data: Uint8Array): Uint8Array;
  /** UTF-8 of a string; lone surrogates become U+FFFD. */
  export function encodeUtf8(text: string): Uint8Array;
  /** WHATWG UTF-8 decode without BOM handling; `fatal`: TypeError on malformed input instead of U+FFFD. */
  export function decodeUtf8(data: Uint8Array, fatal: boolean): string;
  /** One code unit per byte. */
  export function decodeLatin1(data: Uint8Array): string;

  /** Writes text to stdout (1) or stderr (2) at once. */
  export function write(stream: 1 | 2, text: string): void;

  /** Files, through WASI. Errors have `code`: "ENOENT", "EACCES", … and a message that names the path. */
  export function readFile(path: string): Uint8Array;
  export function writeFile(path: string, data: Uint8Array): void;
  export function listFolder(path: string): string[];
  export function fileExists(path: string): boolean;

  /** State of a promise: 0 pending, 1 fulfilled, 2 rejected; and its value or reason. For console. */
  export function promiseState(promise: Promise<unknown>): [state: 0 | 1 | 2, value: unknown];
  /** Target and handler of a proxy, undefined for anything else. For console. */
  export function proxyDetails(value: unknown): [target: object, handler: object] | undefined;

  /** A random number from 0 up to but not including 1, as Math.random gives it; seeded by the host when a sandbox first asks. */
  export function random(): number;
  /** The next random() begins with a new seed: before an image is taken. */
  export function forgetRandom(): void;

  /** Keeps the "mappings" of the bundle's source map, version 3. */
  export function keepSourceMap(mappings: string): void;
  /** Looks up to 64 positions of the bundle up: [line, column, …] sorted, both from 1, gives [source or -1, line, column, …]. */
  export function locate(positions: number[]): number[];
}
