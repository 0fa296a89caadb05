/**
 * Tasks that break what they can reach. Whatever they do stays in their sandbox: it works or it fails as an error of theirs,
 * the next sandbox doesn't see it, and nothing that wasn't allowed is.
 *
 * `main` returns what isn't as it should be.
 */
import { context, env, files, NonRetryable, TaskError, task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

const wall = { maxRetries: 0, ram: "64MB", timeout: "5s", allowedHosts: [], allowedFiles: [], envVariables: [] } as const;

/** What a task sees that nobody tampered with. */
function look(): unknown {
  const object: Record<string, unknown> = {};
  const inherited: string[] = [];
  for (const key in object) inherited.push(key);
  return {
    inherited,
    polluted: [object["polluted"], ([] as unknown as Record<string, unknown>)["polluted"], (globalThis as any).polluted].map(String),
    natives: [JSON.stringify, JSON.parse, Array.prototype.map, Array.prototype.push, Promise.prototype.then, Map.prototype.get, Date.now, Math.random].every(
      (f) => /\[native code\]/.test(Function.prototype.toString.call(f)),
    ),
    module: moduleState.n,
    env: Object.keys(env),
    process: Object.keys(process),
  };
}

const moduleState = { n: 0 };

const pollutes = task({ name: "pollutes", ...wall }, () => {
  moduleState.n++;
  const all = [Object.prototype, Array.prototype, String.prototype, Function.prototype, Promise.prototype, Error.prototype, globalThis] as any[];
  for (const target of all) target.polluted = "yes";
  (env as Record<string, string>)["polluted"] = "yes";
  (process as any).polluted = "yes";
  JSON.stringify = () => '"polluted"';
  JSON.parse = () => "polluted";
  Array.prototype.map = Array.prototype.push = (() => []) as never;
  Promise.prototype.then = (() => "polluted") as never;
  Map.prototype.get = () => "polluted";
  Date.now = Math.random = () => 4;
  return ({} as any).polluted;
});
const looks = task({ name: "looks", ...wall }, () => look());

/** Each of these runs as the body of a task of its own, with `task`-like names in reach. */
const TAMPERING: Record<string, () => unknown> = {
  "JSON.stringify throws": () => {
    JSON.stringify = () => {
      throw new Error("tampered");
    };
  },
  "JSON.parse lies": () => {
    JSON.parse = () => ({ ok: true, outer: true });
  },
  "Promise.prototype.then does nothing": () => {
    Promise.prototype.then = function (this: unknown) {
      return this;
    } as never;
  },
  "Promise is something else": () => {
    (globalThis as any).Promise = class {};
  },
  "Array.prototype methods throw": () => {
    for (const name of Object.getOwnPropertyNames(Array.prototype)) {
      if (name === "length" || name === "constructor") continue;
      (Array.prototype as any)[name] = () => {
        throw new Error(`tampered: ${name}`);
      };
    }
  },
  "Array's iterator ends at once": () => {
    (Array.prototype as any)[Symbol.iterator] = function* () {};
  },
  "String.prototype methods lie": () => {
    String.prototype.endsWith = String.prototype.startsWith = String.prototype.includes = () => true;
    String.prototype.slice = () => "main";
    String.prototype.indexOf = String.prototype.lastIndexOf = () => 0;
  },
  "Map.prototype and WeakMap.prototype lie": () => {
    Map.prototype.get = WeakMap.prototype.get = () => undefined;
    Map.prototype.set = (() => undefined) as never;
  },
  "Object.prototype has setters": () => {
    for (const name of ["ok", "task", "error", "value", "then", "toJSON", "get", "set", "length"]) {
      try {
        Object.defineProperty(Object.prototype, name, {
          configurable: true,
          get: () => "tampered",
          set() {
            throw new Error("tampered");
          },
        });
      } catch {
        // not this one
      }
    }
  },
  "Object.prototype.then resolves everything": () => {
    Object.defineProperty(Object.prototype, "then", {
      configurable: true,
      value(resolve: (value: unknown) => void) {
        resolve("tampered");
      },
    });
  },
  "Array.prototype[0] is a setter": () => {
    Object.defineProperty(Array.prototype, 0, { configurable: true, get: () => "tampered", set() {} });
  },
  "toJSON everywhere": () => {
    for (const one of [Object, String, Number, Boolean, Array, Function, Error]) (one.prototype as any).toJSON = () => ({ ok: true, forged: 1 });
  },
  "Error.prepareStackTrace and stack": () => {
    (Error as any).prepareStackTrace = () => {
      throw new Error("tampered");
    };
    Object.defineProperty(Error.prototype, "stack", {
      configurable: true,
      get() {
        throw new Error("tampered");
      },
    });
    (Error as any).stackTraceLimit = -1;
  },
  "Symbol.hasInstance and Symbol.species": () => {
    Object.defineProperty(TaskError, Symbol.hasInstance, { value: () => true });
    Object.defineProperty(NonRetryable, Symbol.hasInstance, { value: () => false });
    Object.defineProperty(Promise, Symbol.species, { get: () => Object });
  },
  "Reflect and Object are empty": () => {
    for (const name of Object.getOwnPropertyNames(Reflect)) delete (Reflect as any)[name];
    for (const name of ["keys", "entries", "fromEntries", "getPrototypeOf", "defineProperty", "assign", "hasOwn"]) delete (Object as any)[name];
  },
  "globals are gone": () => {
    for (const name of ["fetch", "console", "process", "require", "setTimeout", "TextEncoder", "TextDecoder", "crypto", "URL", "queueMicrotask"]) {
      delete (globalThis as any)[name];
    }
  },
  "everything writable is overwritten": () => {
    const seen = new Set<unknown>([undefined, null]);
    const visit = (target: any, depth: number): void => {
      if (seen.has(target) || depth > 3) return;
      seen.add(target);
      for (const key of Reflect.ownKeys(target)) {
        const found = Reflect.getOwnPropertyDescriptor(target, key);
        if (typeof found?.value === "function" && found.value.prototype) visit(found.value.prototype, depth + 1);
        if (typeof found?.value === "object") visit(found.value, depth + 1);
        if (typeof found?.value === "function" && depth > 1) Reflect.set(target, key, () => "tampered");
      }
    };
    visit(globalThis, 0);
  },
};

/** Tampers, then does what a task does: calls another, awaits, reads, returns. */
const tampers = task({ name: "tampers", ...wall }, async (what: string) => {
  TAMPERING[what]!();
  const child = square(7);
  const later = await squareLater(8);
  return [child, later];
});
const tampersAndThrows = task({ name: "tampers_and_throws", ...wall }, (what: string) => {
  TAMPERING[what]!();
  throw new TypeError("after tampering");
});
const square = task({ name: "square", ...wall }, (n: number) => n * n);
const squareLater = task({ name: "square_later", ...wall }, async (n: number) => n * n);

/** Attempts to get at what wasn't given. Each returns what it got, and nothing good. */
const REACHES: Record<string, () => unknown> = {
  require: () => (globalThis as any).require("fs").readFileSync("/etc/passwd"),
  "process.binding": () => (process as any).binding("fs"),
  "process.exit": () => (process as any).exit(0),
  "process.env": () => (Object.keys(process.env).length === 0 ? "" : process.env),
  env: () => (Object.keys(env).length === 0 ? "" : env),
  "the native module": () => new Function('return import("capsule:native")')(),
  "Node's modules": () => new Function('return import("node:fs")')(),
  "a file": () => files.readText("/etc/passwd"),
  "the project's own file": () => files.readText("hostile.ts"),
  "a folder": async () => ((await files.list("/project")).length === 0 ? "" : "listed"),
  "writing a file": () => files.writeText("pwned.txt", "x"),
  "the net": () => fetch("http://example.com/"),
  "this machine": () => fetch("http://127.0.0.1:22/"),
  "the metadata service": () => fetch("http://169.254.169.254/latest/meta-data/"),
  "a task that isn't there": () => task({ name: "made up", allowedFiles: ["/"] }, () => 1)(),
  "a policy of its own making": () => {
    const wide = task({ name: "looks", allowedFiles: ["/"], allowedHosts: ["*.com"] } as never, () => 1);
    return JSON.stringify(wide()) === JSON.stringify(look()) ? "" : "ran something else";
  },
  Worker: () => new (globalThis as any).Worker("x"),
  WebAssembly: () => (globalThis as any).WebAssembly.compile(new Uint8Array()),
  "the caller's realm": () => {
    const f = new Function("return arguments.callee.caller");
    return f() == null ? "" : "a caller";
  },
};
const reaches = task({ name: "reaches", ...wall }, async (what: string) => {
  const got = await REACHES[what]!();
  return got === "" ? "nothing" : `got ${String(got).slice(0, 100)}`;
});

async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return error instanceof TaskError ? error.type : `not a TaskError: ${error}`;
  }
}

/** What a task may come to that tampered, or reached for something. */
const CONTAINED = new Set<unknown>(["task_error", "bad_output", "bad_input", "out_of_memory", "timeout", "trap"]);

export const main = task({ name: "main", compute: "HIGH" }, async () => {
  const c = new Checks();
  const clean = looks();
  await outcome(() => pollutes());
  c.equal("the next sandbox", looks(), clean);
  c.equal("this one", look(), clean);
  for (const what of Object.keys(TAMPERING)) {
    const worked = await outcome(() => tampers(what)); // what it gives is its own affair
    c.ok(`${what}: ${JSON.stringify(worked)}`, !String(worked).startsWith("not a TaskError"));
    const thrown = await outcome(() => tampersAndThrows(what));
    c.ok(`${what}, then throws: ${JSON.stringify(thrown)}`, CONTAINED.has(thrown));
    c.equal(`${what}: the next sandbox`, looks(), clean);
  }
  for (const what of Object.keys(REACHES)) {
    const got = await outcome(() => reaches(what));
    c.ok(`${what}: ${JSON.stringify(got)}`, got === "nothing" || CONTAINED.has(got) || got === "policy" || got === "not_found");
  }
  c.equal("who this is", context().taskName, "main");
  return c.failures;
});
