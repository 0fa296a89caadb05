/** Types of packages that bring none. */

declare module "whatwg-url" {
  /** A URL, parsed and normalised as the URL standard says. */
  export class URL {
    /** @throws TypeError for what isn't a URL */
    constructor(url: string | { toString(): string }, base?: string | { toString(): string });
    /** Whether the constructor would succeed. */
    static canParse(url: string, base?: string): boolean;
    /** The URL, or null where the constructor would throw. */
    static parse(url: string, base?: string): URL | null;
    href: string;
    readonly origin: string;
    protocol: string;
    username: string;
    password: string;
    host: string;
    hostname: string;
    port: string;
    pathname: string;
    search: string;
    readonly searchParams: URLSearchParams;
    hash: string;
    toJSON(): string;
    toString(): string;
  }

  /** The pairs of a query. */
  export class URLSearchParams {
    constructor(init?: string | Iterable<readonly [string, string]> | Record<string, string> | URLSearchParams);
    readonly size: number;
    append(name: string, value: string): void;
    delete(name: string, value?: string): void;
    get(name: string): string | null;
    getAll(name: string): string[];
    has(name: string, value?: string): boolean;
    set(name: string, value: string): void;
    sort(): void;
    forEach(callback: (value: string, name: string, all: URLSearchParams) => void, thisArg?: unknown): void;
    entries(): IterableIterator<[string, string]>;
    keys(): IterableIterator<string>;
    values(): IterableIterator<string>;
    [Symbol.iterator](): IterableIterator<[string, string]>;
    toString(): string;
  }
}
