/** A task's call, and its calls of other tasks, on a fake host: sdk/js/src/inside.ts. */
import assert from "node:assert/strict";
import { afterEach, describe as group, test } from "node:test";
import { call, describe, leave, sdk } from "../../sdk/js/src/inside.js";
import { after, Fails } from "./fake_host.js";
import { connect, headerOf, replyOf, task, within } from "./inside.js";

connect();
afterEach(leave);

const PLAIN = { ok: true, tagged: false };

group("the reply", () => {
  test("of a function", async () => {
    assert.deepEqual(await replyOf(() => 25), [PLAIN, "25"]);
    assert.deepEqual(await replyOf(() => {}), [PLAIN, "null"]);
    assert.deepEqual(await replyOf(() => ({ a: [1], b: undefined })), [PLAIN, '{"a":[1]}']);
    assert.deepEqual(await replyOf((...args) => args, '[[1,"x",null,{"a":[]}],{}]'), [PLAIN, '[1,"x",null,{"a":[]}]']);
  });

  test("the common one is text, at once", () => {
    task({ name: "square" }, (n: number) => n * n);
    assert.equal(call(headerOf("square"), "[[5],{}]"), "25");
    assert.equal(call(headerOf("square", { outer: false }), "[[6],{}]"), "36");
  });

  test("of an async function", async () => {
    assert.deepEqual(await replyOf(async (n) => n + 1, "[[1],{}]"), [PLAIN, "2"]);
    assert.deepEqual(await replyOf(async () => ({ a: 1 })), [PLAIN, '{"a":1}']);
  });

  test("of a function that returns a Promise says so", async () => {
    assert.deepEqual(await replyOf(() => Promise.resolve(1)), [{ ok: true, tagged: false, async: true }, "1"]);
    const thenable = { then: (resolve: (value: unknown) => void) => resolve("late") };
    assert.deepEqual(await replyOf(() => thenable), [{ ok: true, tagged: false, async: true }, '"late"']);
    const [header] = await replyOf(() => Promise.reject(new Error("no")));
    assert.deepEqual([header.ok, header.async, header.error.message], [false, true, "no"]);
  });

  test("forms inside, plain outside", async () => {
    const bytes = () => [new Uint8Array(1), new Set([1])];
    assert.deepEqual(await replyOf(bytes, "[[],{}]", { outer: false }), [
      { ok: true, tagged: true },
      '[{"$bytes":"AA=="},{"$set":[1]}]',
    ]);
    assert.deepEqual(await replyOf(bytes), [PLAIN, '["AA==",[1]]']);
  });

  test("of a handle that is returned", async () => {
    connect({ child: () => after(5, "grown") });
    const child = task({ name: "child" }, () => "");
    assert.deepEqual(await replyOf(() => child.start()), [{ ok: true, tagged: false, async: true }, '"grown"']);
  });

  test("of a handle in something else", async () => {
    connect({ child: () => 1 });
    const child = task({ name: "child" }, () => "");
    const [{ error }] = await replyOf(() => [child.start()]);
    assert.equal(error.message, "result[0]: a TaskHandle object isn't a JSON value; await it");
  });

  test("bad output", async () => {
    for (const handler of [() => 1n, async () => 1n, () => [Number.NaN], () => () => 1, () => Symbol("s")]) {
      const [{ ok, error }] = await replyOf(handler);
      assert.deepEqual([ok, error.type, error.retry], [false, "bad_output", false]);
      assert.match(error.message, /^result/);
    }
  });

  test("no such task, arguments that can't be read", async () => {
    const reply = call(headerOf("nowhere"), "[[],{}]") as [string, string];
    assert.deepEqual(JSON.parse(reply[0]).error, { type: "not_found", message: 'there is no task "nowhere"', retry: false });
    const [{ error }] = await replyOf(() => 1, '[[{"$what":1}],{}]', { tagged: true });
    assert.deepEqual(error, { type: "bad_input", message: 'the arguments can\'t be read: unknown form "$what"', retry: false });
  });

  test("too long", async () => {
    for (const result of ["x".repeat(70_000_000), "é".repeat(35_000_000), ["\u{1F600}".repeat(17_500_000)]]) {
      const [{ error }] = await replyOf(() => result);
      assert.deepEqual([error.type, error.retry], ["bad_output", false]);
      assert.match(error.message, /^the result is 71 MB of JSON, and a message holds 66 MB\. Write it to a file instead$/);
    }
    assert.equal((await replyOf(() => "é".repeat(30_000_000)))[1].length, 30_000_002);
  });
});

group("arguments", () => {
  test("with forms", async () => {
    const seen = await replyOf((b, s) => [b instanceof Uint8Array, s instanceof Set], '[[{"$bytes":"AA=="},{"$set":[]}],{}]', {
      tagged: true,
    });
    assert.equal(seen[1], "[true,true]");
  });

  test("named ones are one object, the last", async () => {
    assert.equal((await replyOf((...args) => args, '[[],{"unit":"kg"}]'))[1], '[{"unit":"kg"}]');
    assert.equal((await replyOf((...args) => args, '[[1],{"unit":"kg"}]'))[1], '[1,{"unit":"kg"}]');
    assert.equal((await replyOf((...args) => args, "[[1], {}]"))[1], "[1]");
  });

  test("a handler's `this` is nothing of ours", async () => {
    const handler = function (this: unknown) {
      return this === undefined;
    };
    assert.equal((await replyOf(handler))[1], "true");
  });
});

group("the header", () => {
  const names = ["plain", 'a "quoted" one', "back\\slash", "ünïcode \u{1F600}", ',"env":{"a":1},"outer":true', "\u2028"];
  for (const name of names) {
    test(`of a task named ${JSON.stringify(name)}`, () => {
      task({ name }, () => [sdk.context().taskName, { ...sdk.env }]);
      for (const [outer, tagged] of [
        [true, false],
        [false, false],
        [false, true],
      ] as const) {
        assert.equal(call(headerOf(name, { outer, tagged }), "[[],{}]"), JSON.stringify([name, {}]));
        leave();
      }
    });
  }

  test("in another order or with spaces", () => {
    task({ name: "odd header" }, (...args) => args.length);
    assert.equal(call('{ "tagged": false, "outer": true, "task": "odd header" }', "[[1],{}]"), "1");
  });

  test("environment", async () => {
    const [, body] = await replyOf(() => ({ ...sdk.env }), "[[],{}]", { env: { KEY: "v", OTHER: '"},"outer":true' } });
    assert.deepEqual(JSON.parse(body), { KEY: "v", OTHER: '"},"outer":true' });
    for (const key of Object.keys(sdk.env)) delete sdk.env[key];
  });

  test("context()", async () => {
    const deadline_ns = 1767323045006000000;
    const [, body] = await replyOf(
      () => {
        const { remainingFuel, deadline, ...rest } = sdk.context();
        return [rest, deadline?.toISOString(), remainingFuel(), sdk.context() === sdk.context()];
      },
      "[[],{}]",
      { attempt: 3, deadline_ns },
    );
    const [rest, deadline, fuel, same] = JSON.parse(body);
    assert.match(rest.taskName, /^task \d+$/);
    delete rest.taskName;
    assert.deepEqual(rest, { runId: "R", taskId: "7", attempt: 3, idempotencyKey: "R/7" });
    assert.deepEqual([deadline, fuel, same], ["2026-01-02T03:04:05.006Z", 12345, true]);
    assert.equal(sdk.context().taskName, "local");
  });
});

group("a call of a task", () => {
  const double = task({ name: "double" }, (n: number) => 2 * n);
  const adouble = task({ name: "adouble" }, async (n: number) => 2 * n);
  const echo = task({ name: "echo" }, <T>(value: T): T => value);
  const sleep = task({ name: "sleep" }, (_ms: number, value?: unknown) => value);
  const asleep = task({ name: "asleep" }, async (_ms: number, value?: unknown) => value);
  const broken = task({ name: "broken" }, (): number => 1);
  const promising = task({ name: "promising" }, (n: number) => Promise.resolve(n));
  const tasks = {
    double: (n: number) => 2 * n,
    adouble: (n: number) => 2 * n,
    echo: (value: unknown) => value,
    sleep: (ms: number, value: unknown) => after(ms, value),
    asleep: (ms: number, value: unknown) => after(ms, value),
    promising: (n: number) => Object.assign(after(1, n), { async: true }),
    broken: () => {
      throw new Fails({
        class: "KeyError",
        message: "no such item",
        traceback: "KeyError: no such item\n    at f (x.ts:1:2)\n",
        execution: { run_id: "R", duration_ms: 1.5, host_requests: [{ method: "GET", duration_ms: 2 }] },
      });
    },
  };

  test("blocks for a plain function", () => {
    const host = connect(tasks);
    assert.equal(within(() => double(21)), 42);
    assert.equal(within(() => sleep(1000, "slept")), "slept");
    assert.equal(host.now, 1000);
    assert.deepEqual(host.headers[0], { op: "task.call", task: "double", tagged: false });
  });

  test("gives a Promise for an async one, at once", async () => {
    const host = connect(tasks);
    const both = within(() => Promise.all([asleep(1000, 1), asleep(1000, 2), adouble(3)]));
    assert.equal(host.submitted.length, 3);
    assert.deepEqual(await both, [1, 2, 6]);
    assert.equal(host.now, 1000);
  });

  test("gives a Promise where the function gave one", async () => {
    connect(tasks);
    const promise = within(() => promising(5));
    assert.ok(promise instanceof Promise);
    assert.equal(await promise, 5);
  });

  test("forms both ways", () => {
    const host = connect(tasks);
    const value = [new Uint8Array([1]), new Date(0), new Set([1]), new Map([["a", 1]]), { $set: [1] }];
    assert.deepEqual(within(() => echo(value)), value);
    assert.equal(host.headers[0]!["tagged"], true);
  });

  test("undefined: left out at the end, null before", () => {
    const host = connect(tasks);
    within(() => (sleep as (...args: unknown[]) => unknown)(0, undefined, 2, undefined, undefined));
    assert.deepEqual(host.submitted[0], ["sleep", [0, null, 2]]);
    within(() => (sleep as (...args: unknown[]) => unknown)(0, { a: undefined }, undefined));
    assert.deepEqual(host.submitted[1], ["sleep", [0, {}]]);
  });

  test("failures", async () => {
    connect(tasks);
    const checks = (error: unknown): boolean => {
      assert.ok(error instanceof sdk.TaskError);
      const { type, message, className, taskName, traceback, execution } = error;
      assert.deepEqual([type, message, className, taskName], ["task_error", "no such item", "KeyError", "broken"]);
      assert.match(traceback!, /at f \(x\.ts:1:2\)/);
      assert.deepEqual(execution, { runId: "R", durationMs: 1.5, hostRequests: [{ method: "GET", durationMs: 2 }] });
      assert.equal(String(error), "task 'broken' failed: KeyError: no such item");
      return true;
    };
    assert.throws(() => within(() => broken()), checks);
    await assert.rejects(within(() => broken.start()), checks);
    assert.throws(() => within(() => broken.start().result()), checks);
  });

  test("arguments that can't cross", async () => {
    connect(tasks);
    const bad = { list: [1, Number.NaN] };
    const refused = (error: unknown) =>
      error instanceof sdk.TaskError &&
      error.type === "bad_input" &&
      error.message === "argument 1.list[1]: the number is NaN, which JSON doesn't have";
    assert.throws(() => within(() => echo(bad)), refused);
    assert.throws(() => within(() => echo.start(bad)), refused);
    await assert.rejects(within(() => adouble(bad as never)), refused);
    assert.throws(() => within(() => echo("x".repeat(70_000_000))), /argument|71 MB of JSON/);
  });

  test("not while an image is built", () => {
    leave();
    for (const use of [() => double(1), () => double.start(1), () => double.map([1])]) {
      assert.throws(use, /task "double" was called while its module is imported/);
    }
  });

  test("more than may be open wait for one another", async () => {
    const host = connect(tasks);
    host.openMax = 10;
    const all = await within(() => Promise.all(Array.from({ length: 100 }, (_, i) => adouble(i))));
    assert.deepEqual(all, Array.from({ length: 100 }, (_, i) => 2 * i));
    assert.equal(host.mostOpen, 10);
  });
});

group("what the host is told", () => {
  test("name, place, kind, options under its names", () => {
    const here = Number(/inside\.test\.ts:(\d+)/.exec(new Error().stack!)![1]);
    task(
      {
        name: "told",
        compute: 10,
        maxRetries: 2,
        ram: "64MB",
        allowedFiles: ["./a", { path: "b", mode: "ro" }],
        allowedHosts: [],
        envVariables: ["KEY"],
        timeout: undefined,
      },
      async function named() {},
    );
    const told = describe().at(-1)!;
    assert.deepEqual(told.options, {
      compute: 10,
      max_retries: 2,
      ram: "64MB",
      allowed_files: ["./a", { path: "b", mode: "ro" }],
      allowed_hosts: [],
      env_variables: ["KEY"],
    });
    assert.deepEqual([told.name, told.qualname, told.async, told.line], ["told", "named", true, here + 1]);
    assert.match(told.file, /inside\.test\.ts$/);
  });

  test("two tasks of one name are both told", () => {
    task({ name: "twice" }, () => 1);
    task({ name: "twice" }, () => 2);
    const lines = describe((place) => ({ ...place, file: "main.ts" })).filter((one) => one.name === "twice");
    assert.equal(lines.length, 2);
    assert.notEqual(lines[0]!.line, lines[1]!.line);
    assert.equal(lines[0]!.file, "main.ts");
  });
});

group("files", () => {
  const hintOf = async (path: string, allowedFiles?: unknown): Promise<string> => {
    const [{ error }] = await replyOf(() => sdk.files.readText(path), "[[],{}]", { options: { allowedFiles } });
    return error.message;
  };

  test("a file that wasn't given says what to do", async () => {
    assert.match(await hintOf("./data/x.txt"), /^ENOENT: no such file or directory: '\.\/data\/x\.txt'; .*allowedFiles/);
    assert.match(await hintOf("data2/x", ["./data"]), /allowedFiles/);
    assert.match(await hintOf("data/../secret", ["./data"]), /allowedFiles/);
  });

  test("a file that is missing in a folder that was given doesn't", async () => {
    for (const path of ["data/x.txt", "./data/x.txt", "/project/data/x.txt", "other/../data/x", "data"]) {
      assert.doesNotMatch(await hintOf(path, [{ path: "./data/" }]), /allowedFiles/);
    }
    assert.doesNotMatch(await hintOf("x", ["."]), /allowedFiles/);
  });

  test("wrong arguments", async () => {
    connect();
    await assert.rejects(sdk.files.readText(5 as never), TypeError);
    await assert.rejects(sdk.files.readText(""), TypeError);
    await assert.rejects(sdk.files.exists("a\0b"), /NUL/);
    await assert.rejects(sdk.files.writeText("a", 5 as never), /writeText\(\) takes a string, not number/);
    await assert.rejects(sdk.files.writeBytes("a", "text" as never), /for text there is writeText\(\)/);
  });
});
