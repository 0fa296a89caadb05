/** What QuickJS has of its own and TypeScript's library, without "dom", doesn't declare. */

interface ErrorConstructor {
  captureStackTrace(target: object, constructor?: Function): void;
}

interface DOMException extends Error {
  /** The old number of a name that had one, otherwise 0. */
  readonly code: number;
}

declare var DOMException: {
  prototype: DOMException;
  new (message?: string, name?: string): DOMException;
  [code: `${string}_ERR`]: number;
};

declare function queueMicrotask(callback: () => void): void;

/** Bytes, one per code unit, as Base64. Throws a DOMException "InvalidCharacterError" for a code unit above 255. */
declare function btoa(data: string): string;

/** The opposite of btoa. Throws a DOMException "InvalidCharacterError" for what isn't Base64. */
declare function atob(data: string): string;
