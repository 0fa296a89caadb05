/** What becomes of anything that is thrown: sdk/js/src/failure.ts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { errorHeader, failureOf, loadFailure, sdk } from "../../sdk/js/src/inside.js";
import { connect, replyOf } from "./inside.js";

const { NonRetryable, TaskError } = sdk;
connect();

class Custom extends Error {}
class Named extends Error {
  override name = "GivenName";
}
class Final extends NonRetryable {}

function engines(message: string, name = "InternalError"): Error {
  return Object.assign(new Error(message), { name });
}

const thrower = (key: string, error: Error): Error =>
  Object.defineProperty(error, key, {
    get() {
      throw new Custom("never");
    },
  });

describe("type, class, message, retry", () => {
  const THROWN: [name: string, thrown: unknown, type: string, className: string | undefined, message: string | RegExp, retry: boolean][] = [
    ["an Error", new Error("m"), "task_error", "Error", "m", true],
    ["a TypeError", new TypeError("m"), "task_error", "TypeError", "m", true],
    ["no message", new Error(), "task_error", "Error", "", true],
    ["a class of the user's", new Custom("m"), "task_error", "Custom", "m", true],
    ["a class that names itself", new Named("m"), "task_error", "GivenName", "m", true],
    ["a DOMException", new DOMException("m", "AbortError"), "task_error", "AbortError", "m", true],
    ["NonRetryable", new NonRetryable("m"), "task_error", "NonRetryable", "m", false],
    ["a class of it", new Final("m"), "task_error", "Final", "m", false],
    ["text", "text", "task_error", undefined, "text", true],
    ["null", null, "task_error", undefined, "null was thrown", true],
    ["undefined", undefined, "task_error", undefined, "undefined was thrown", true],
    ["a number", 42, "task_error", undefined, "42 was thrown", true],
    ["a BigInt", 42n, "task_error", undefined, "42n was thrown", true],
    ["a symbol", Symbol("s"), "task_error", undefined, "Symbol(s) was thrown", true],
    ["a function", () => 1, "task_error", undefined, "a function was thrown", true],
    ["an object with a message", { message: "m" }, "task_error", undefined, "m", true],
    ["an object", { code: 5 }, "task_error", undefined, 'an object that isn\'t an Error was thrown: {"code":5}', true],
    ["a list", [1], "task_error", "Array", "an object that isn't an Error was thrown: [1]", true],
    ["an object without anything", Object.create(null), "task_error", undefined, /an object that isn't an Error was thrown/, true],
    ["a group", new AggregateError([new Error("a"), "b"], "both"), "task_error", "AggregateError", "both", true],
    ["a group without a message", new AggregateError([new Error("a"), "b"]), "task_error", "AggregateError", "a; b", true],
    ["no memory", engines("out of memory"), "out_of_memory", undefined, /needs more memory than its ram option allows/, true],
    ["no stack", engines("stack overflow"), "task_error", "InternalError", /^the call stack is full/, true],
    ["no stack, new", engines("Maximum call stack size exceeded", "RangeError"), "task_error", "RangeError", /^the call stack is full/, true],
    ["a refusal", Object.assign(new TypeError("not allowed"), { capsule: { type: "policy", kind: "x" } }), "policy", undefined, "not allowed", false],
    ["another claim", Object.assign(new TypeError("m"), { capsule: { type: "timeout" } }), "task_error", "TypeError", "m", true],
    ["a group with a refusal", new AggregateError([Object.assign(new Error("n"), { capsule: { type: "policy" } })], "m"), "policy", undefined, "m", false],
    ["a TaskError", new TaskError("m", { className: "KeyError", taskName: "price" }), "task_error", "TaskError", "task 'price' failed: KeyError: m", true],
    ["one of policy", new TaskError("m", { type: "policy", taskName: "t" }), "task_error", "TaskError", "task 't' failed: policy: m", false],
    ["one that is final", new TaskError("m", { retry: false }), "task_error", "TaskError", "task_error: m", false],
    ["one of memory", new TaskError("m", { type: "out_of_memory" }), "task_error", "TaskError", "out_of_memory: m", true],
    ["a message that throws", thrower("message", new Error("m")), "task_error", "Error", "(reading its message threw Custom)", true],
    ["a stack that throws", thrower("stack", new Error("m")), "task_error", "Error", "m", true],
    ["a name that throws", thrower("name", new Error("m")), "task_error", "Error", "m", true],
    ["a claim that throws", thrower("capsule", new Error("m")), "task_error", "Error", "m", true],
    ["a cause that throws", thrower("cause", new Error("m")), "task_error", "Error", "m", true],
    [
      "a proxy that throws",
      new Proxy({}, { get: () => { throw new Custom(); }, getPrototypeOf: () => { throw new Custom(); }, ownKeys: () => { throw 1; } }),
      "task_error",
      undefined,
      "(reading its message threw Custom)",
      true,
    ],
    ["a message that is no text", Object.assign(new Error("m"), { message: { a: 1 } }), "task_error", "Error", "", true],
    ["a name that is no text", Object.assign(new Error("m"), { name: 5 }), "task_error", "Error", "m", true],
  ];
  for (const [name, thrown, type, className, message, retry] of THROWN) {
    test(name, () => {
      const failure = failureOf(thrown);
      assert.deepEqual([failure.type, failure.class, failure.retry], [type, className, retry]);
      if (typeof message === "string") assert.equal(failure.message, message);
      else assert.match(failure.message, message);
      const header = JSON.parse(errorHeader(failure));
      assert.deepEqual(header, { ok: false, error: JSON.parse(JSON.stringify(failure)) });
      assert.equal(loadFailure(thrown).type, "import_error");
    });
  }
});

describe("tracebacks", () => {
  const stack = (error: Error, ...frames: string[]): Error =>
    Object.defineProperty(error, "stack", { value: frames.map((frame) => `    at ${frame}`).join("\n") });

  test("as Node writes them, without our frames, relative to the project", () => {
    const error = stack(
      new Custom("m"),
      "JSON.parse (native)",
      "inner (/project/main.ts:3:9)",
      "call (capsule:sdk.js:1:1)",
      "/project/lib/x.ts:1:2",
      "apply (native)",
      "call (capsule:sdk.js:5:1)",
    );
    assert.equal(
      failureOf(error).traceback,
      "Custom: m\n    at JSON.parse (native)\n    at inner (main.ts:3:9)\n    at lib/x.ts:1:2\n",
    );
  });

  test("V8's, with a head line", () => {
    assert.match(failureOf(new Custom("two\nlines")).traceback!, /^Custom: two\nlines\n {4}at .*failure\.test/);
  });

  test("causes", () => {
    const inner = stack(new TypeError("inner"), "g (/project/b.ts:1:1)");
    const outer = stack(new Error("outer", { cause: inner }), "f (/project/a.ts:2:2)");
    assert.equal(
      failureOf(outer).traceback,
      "Error: outer\n    at f (a.ts:2:2) {\n  [cause]: TypeError: inner\n      at g (b.ts:1:1)\n}\n",
    );
    const plain = stack(new Error("outer", { cause: "text" }), "f (/project/a.ts:2:2)");
    assert.match(failureOf(plain).traceback!, /\[cause\]: text\n/);
    const circle = stack(new Error("circle"), "f (/project/a.ts:2:2)");
    circle.cause = circle;
    assert.match(failureOf(circle).traceback!, /\[cause\]: Error: circle \(…\)\n/);
    let long: unknown = "root";
    for (let i = 0; i < 1000; i++) long = new Error(`e${i}`, { cause: long });
    assert.ok(failureOf(long).traceback!.split("cause").length < 20);
  });

  test("groups", () => {
    const group = stack(new AggregateError([stack(new Error("a"), "f (/project/a.ts:1:1)"), "b"], "both"));
    assert.equal(
      failureOf(group).traceback,
      "AggregateError: both {\n  [errors]: [\n    Error: a\n        at f (a.ts:1:1)\n    b\n  ]\n}\n",
    );
  });

  test("a failed task's own", () => {
    const error = stack(new TaskError("m", { className: "E", taskName: "t", traceback: "E: m\n    at g (b.ts:1:1)\n" }), "f (/project/a.ts:1:1)");
    assert.equal(
      failureOf(error).traceback,
      "TaskError: task 't' failed: E: m\n    at f (a.ts:1:1) {\n  [inside task 't']: E: m\n      at g (b.ts:1:1)\n}\n",
    );
  });
});

describe("limits", () => {
  test("huge texts keep their ends", () => {
    const failure = failureOf(new Error(`begin ${"x".repeat(5_000_000)} end`));
    assert.ok(failure.message.length <= 64 * 1024);
    assert.match(failure.message, /^begin x+\n… 5000010 characters, shortened …\nx+ end$/);
    assert.ok(failure.traceback!.length <= 128 * 1024 + 1);
  });

  test("a header holds 1 MiB, whatever is in it", () => {
    const nasty = "\0\u{1F600}\ud800".repeat(100_000);
    const failure = { type: "task_error", class: nasty.slice(0, 1000), message: nasty.slice(0, 65536), traceback: nasty.slice(0, 131072), retry: true };
    const text = errorHeader(failure);
    assert.ok(Buffer.byteLength(text) <= 1024 * 1024);
    assert.ok(text.isWellFormed());
    assert.doesNotMatch(text, /\\ud/);
    JSON.parse(text);
  });

  test("a polluted toJSON changes nothing", () => {
    const plain = errorHeader(failureOf("m"));
    Object.defineProperty(Object.prototype, "toJSON", { value: () => "gotcha", configurable: true });
    Object.defineProperty(String.prototype, "toJSON", { value: () => "gotcha", configurable: true });
    try {
      assert.equal(errorHeader(failureOf("m")), plain);
    } finally {
      delete (Object.prototype as { toJSON?: unknown }).toJSON;
      delete (String.prototype as { toJSON?: unknown }).toJSON;
    }
  });
});

test("replies of tasks that throw", async () => {
  for (const handler of [
    () => {
      throw new Custom("sync");
    },
    async () => {
      throw new Custom("async");
    },
  ]) {
    const [header, body] = await replyOf(handler);
    assert.deepEqual([header.ok, header.error.type, header.error.class, body], [false, "task_error", "Custom", ""]);
    assert.match(header.error.traceback, /^Custom: a?sync\n {4}at /);
  }
});
