/** The package as plain Node sees it: tasks are function calls. sdk/js/src/index.ts, outside.ts. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { context, env, files, NonRetryable, sleep, type Task, TaskError, task, version, waitSignal } from "../../sdk/js/src/index.js";

const double = task({ name: "double" }, (n: number) => 2 * n);
const adouble = task({ name: "adouble" }, async (n: number) => 2 * n);
const add = task({ name: "add" }, (a: number, b = 100) => a + b);
const promising = task({ name: "promising" }, (n: number) => Promise.resolve(n));
const picky = task({ name: "picky" }, (n: number) => {
  if (n < 0) throw new RangeError(`not ${n}`);
  return n;
});
const apicky = task({ name: "apicky" }, async (n: number) => picky(n));
const never = task({ name: "never" }, () => new Promise<number>(() => {}));
const cancelled = (error: unknown) => error instanceof TaskError && error.type === "cancelled";

describe("a task", () => {
  test("is its function", async () => {
    assert.equal(double(2), 4);
    assert.equal(await adouble(2), 4);
    assert.equal(add(1), 101);
    assert.equal(add(1, undefined), 101);
    assert.throws(() => picky(-1), RangeError);
    const own = { any: "object", but: () => "JSON" };
    assert.equal(task({ name: "same" }, (value: unknown) => value)(own), own);
  });

  test("has a name and a length", () => {
    assert.deepEqual([double.name, double.length, typeof double, double instanceof Function], ["double", 1, "function", true]);
  });
});

describe("handles", () => {
  test("of plain functions have run", async () => {
    const one = double.start(2);
    assert.deepEqual([one.done(), one.result(), await one, one.cancel(), one.taskName], [true, 4, 4, false, "double"]);
    const bad = picky.start(-1);
    assert.throws(() => bad.result(), RangeError);
    await assert.rejects(Promise.resolve(bad), RangeError);
  });

  test("of async ones are awaited", async () => {
    const one = adouble.start(2);
    assert.equal(one.done(), false);
    assert.throws(() => one.result(), /outside of a sandbox .* use await/);
    assert.deepEqual(await Promise.all([one, one, adouble.start(3), promising.start(4)]), [4, 4, 6, 4]);
    assert.equal(one.result(), 4);
    await assert.rejects(Promise.resolve(apicky.start(-1)), RangeError);
  });

  test("are cancelled", async () => {
    const slow = never.start();
    assert.equal(slow.cancel(), true);
    assert.deepEqual([slow.done(), slow.cancel()], [true, false]);
    await assert.rejects(Promise.resolve(slow), cancelled);
  });

  test("a failure that nobody asks for bothers nobody", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    apicky.start(-1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });
});

describe("maps", () => {
  test("of plain functions", () => {
    const log: number[] = [];
    const logged = task({ name: "logged" }, (n: number) => {
      log.push(n);
      return picky(n);
    });
    assert.deepEqual(logged.map([3, 1, 2]), [3, 1, 2]);
    assert.throws(() => logged.map([4, -1, 5]), RangeError);
    assert.deepEqual(log, [3, 1, 2, 4, -1]);
    assert.deepEqual(add.starmap([[1, 2], [3]]), [3, 103]);
    assert.ok(picky.map([1, -1], { returnErrors: true })[1] instanceof RangeError);
  });

  test("of async ones", async () => {
    let running = 0;
    let most = 0;
    const busy = task({ name: "busy" }, async (n: number) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      return picky(n);
    });
    assert.deepEqual(await busy.map([3, 1, 2]), [3, 1, 2]);
    assert.equal(most, 3);
    most = 0;
    assert.equal((await busy.map(Array.from({ length: 10 }, (_, i) => i), { concurrency: 2 })).length, 10);
    assert.equal(most, 2);
    await assert.rejects(busy.map([1, -1, 2]), RangeError);
    assert.deepEqual(await promising.map([1, 2]), [1, 2]);
  });
});

describe("task() refuses at once", () => {
  const ok = () => 1;
  const REFUSED: [name: string, make: () => unknown, message: RegExp][] = [
    ["no options", () => (task as any)(ok), /task\(\) takes options and a function/],
    ["no name", () => (task as any)({}, ok), /a task needs a name/],
    ["an empty name", () => task({ name: "" }, ok), /must be a string that isn't empty/],
    ["a name that is no text", () => task({ name: 5 as never }, ok), /must be a string/],
    ["Python's names", () => task({ name: "a", max_retries: 1 } as never, ok), /no option "max_retries"; did you mean "maxRetries"\?/],
    ["a misspelled one", () => task({ name: "a", timout: "1s" } as never, ok), /did you mean "timeout"\?/],
    ["another case", () => task({ name: "a", allowedhosts: [] } as never, ok), /did you mean "allowedHosts"\?/],
    ["an unknown one", () => task({ name: "a", gpu: 1 } as never, ok), /options are name, compute, ram/],
    ["an inherited one", () => task({ name: "a", ["constructor"]: 1 } as never, ok), /no option "constructor"/],
    ["no function", () => (task as any)({ name: "a" }), /task "a" needs a function/],
    ["something else", () => (task as any)({ name: "a" }, 5), /task "a" needs a function/],
    ["a class", () => task({ name: "a" }, class {} as never), /not a class/],
    ["a generator", () => task({ name: "a" }, function* () {}), /is a generator/],
    ["an async generator", () => task({ name: "a" }, async function* () {}), /is a generator/],
    ["a task", () => task({ name: "a" }, double), /is given a task/],
    ["a function as a value", () => task({ name: "a", ram: ok as never }, ok), /task "a": ram can't be a function/],
    ["NaN", () => task({ name: "a", compute: Number.NaN }, ok), /compute can't be NaN/],
    ["a Set", () => task({ name: "a", allowedHosts: new Set() as never }, ok), /allowedHosts can't be a Set/],
  ];
  for (const [name, make, message] of REFUSED) {
    test(name, () => assert.throws(make, (error: unknown) => error instanceof TypeError && message.test(error.message)));
  }

  test("but takes undefined, null and a BigInt", () => {
    task({ name: "a", ram: undefined, timeout: null as never, compute: 10n as never }, ok);
  });
});

describe("files", () => {
  test("all six", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "capsule-"));
    try {
      const at = (name: string) => path.join(folder, name);
      await files.writeText(at("b.txt"), "\ufeffé\u{1F600}");
      await files.writeBytes(at("a.bin"), new Uint8Array([0, 255]));
      await files.writeBytes(at("c.bin"), new Uint16Array([0x4142]).buffer);
      assert.equal(await files.readText(at("b.txt")), "\ufeffé\u{1F600}");
      const bytes = await files.readBytes(at("a.bin"));
      assert.deepEqual([bytes.constructor, [...bytes]], [Uint8Array, [0, 255]]);
      assert.equal(await readFile(at("c.bin"), "latin1"), "BA");
      assert.deepEqual(await files.list(folder), ["a.bin", "b.txt", "c.bin"]);
      assert.deepEqual([await files.exists(at("a.bin")), await files.exists(folder), await files.exists(at("x"))], [true, true, false]);
      await assert.rejects(files.readText(at("x")), { code: "ENOENT" });
      await assert.rejects(files.readText(folder), { code: "EISDIR" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test("context() is a stub", () => {
  const { idempotencyKey, remainingFuel, ...rest } = context();
  assert.deepEqual(rest, { runId: "local", taskId: "local", taskName: "local", attempt: 1, deadline: null });
  assert.match(idempotencyKey, /^local-[0-9a-f-]{36}$/);
  assert.notEqual(idempotencyKey, context().idempotencyKey);
  assert.equal(remainingFuel(), Infinity);
});

test("env is the process's", () => {
  assert.equal(env, process.env);
});

test("errors are Errors", () => {
  assert.ok(new NonRetryable("x") instanceof Error);
  assert.equal(new NonRetryable("x").name, "NonRetryable");
  assert.deepEqual([NonRetryable.name, TaskError.name], ["NonRetryable", "TaskError"]); // bundlers like to rename
  const error = new TaskError("m", { cause: 5 });
  assert.deepEqual([error.name, error.type, error.message, error.className, error.execution, error.cause], ["TaskError", "task_error", "m", undefined, {}, 5]);
});

test("the version is the project's", async () => {
  const root = process.env["CAPSULE_ROOT"]!;
  const cmake = await readFile(path.join(root, "CMakeLists.txt"), "utf8");
  assert.equal(version, /project\(capsule VERSION (\S+)/.exec(cmake)![1]);
  assert.equal(version, JSON.parse(await readFile(path.join(root, "sdk/js/package.json"), "utf8")).version);
});

test("a task may be passed around as what it is", () => {
  const any: Task = double;
  assert.equal(any(1), 2);
});

test("waiting", async () => {
  assert.equal(await sleep("1ms"), undefined);
  await assert.rejects(waitSignal("go"), /signals reach runs of `capsule run` alone/);
});
