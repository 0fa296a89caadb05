/** sleep() and waitSignal(), on a fake host and outside: sdk/js/src/waiting.ts and its two halves. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { call, describe as describeTasks, leave, sdk } from "../../sdk/js/src/inside.js";
import { setWaiting } from "../../sdk/js/src/waiting.js";
import { waitingInside } from "../../sdk/js/src/waiting_inside.js";
import { waitingOutside } from "../../sdk/js/src/waiting_outside.js";
import { after, Fails, HOUR } from "./fake_host.js";
import { connect, headerOf, replyOf, within } from "./inside.js";

const { NonRetryable, SignalTimeout, sleep, TaskError, waitSignal } = sdk;
afterEach(leave);

const nothing = () => new Promise<void>((resolve) => setImmediate(resolve));
const timedOut = () => {
  throw new Fails({ type: "timeout", message: "no signal came in time", after: HOUR });
};
const notRecorded = () => {
  throw new Fails({ type: "policy", message: "this run isn't recorded" });
};

describe("what the host is asked", () => {
  const day = 86_400_000_000_000;
  const asked: [duration: Parameters<typeof sleep>[0], header: object][] = [
    [0, { duration_ns: 0 }],
    [250, { duration_ns: 250_000_000 }],
    [0.5, { duration_ns: 500_000 }],
    ["500ms", { duration_ns: 500_000_000 }],
    ["30s", { duration_ns: 30_000_000_000 }],
    ["30 S", { duration_ns: 30_000_000_000 }],
    ["5m", { duration_ns: 300_000_000_000 }],
    ["1.5h", { duration_ns: 5_400_000_000_000 }],
    ["7d", { duration_ns: 7 * day }],
    ["36500d", { duration_ns: 36_500 * day }],
    ["1.0000000000000000000001s", { duration_ns: 1_000_000_000 }],
    [new Date("1970-01-03T00:00:00.001Z"), { until_ns: 2 * day + 1_000_000 }],
    [new Date("1960-01-01"), { until_ns: 0 }],
  ];
  for (const [duration, header] of asked) {
    test(`by sleep(${typeof duration === "object" ? duration.toISOString() : JSON.stringify(duration)})`, async () => {
      const host = connect();
      await within(() => sleep(duration));
      assert.deepEqual(host.headers, [{ op: "sleep", ...header }]);
      assert.equal(host.open, 0);
    });
  }

  test("exactly, where a number would be rounded", async () => {
    let text = "";
    const host = connect();
    const { submit } = host;
    host.submit = (header, body) => submit.call(host, (text = header), body);
    await within(() => sleep("36499.999999999999999d"));
    assert.equal(text, '{"op":"sleep","duration_ns":3153599999999999999}');
  });

  test("by waitSignal()", async () => {
    const value = { ok: [1, null, { $bytes: "AQ==" }] };
    const longest = "é".repeat(64);
    const host = connect({ "signal approval": () => value, [`signal ${longest}`]: () => null, 'signal a"\n': () => 0 });
    await within(async () => {
      assert.deepEqual(await waitSignal("approval"), value);
      assert.equal(await waitSignal(longest, { timeout: 0 }), null);
      assert.equal(await waitSignal('a"\n', { timeout: "3d" }), 0);
    });
    assert.deepEqual(host.headers, [
      { op: "signal.wait", name: "approval" },
      { op: "signal.wait", name: longest, timeout_ns: 0 },
      { op: "signal.wait", name: 'a"\n', timeout_ns: 3 * day },
    ]);
  });
});

describe("what is refused", () => {
  const wrong: [what: string, kind: new () => Error, message: RegExp, run: () => Promise<unknown>][] = [
    ["no unit", RangeError, /^sleep\(\): "7" isn't a duration; write .*"7d" or a Date$/, () => sleep("7")],
    ["an unknown unit", RangeError, /"7 days" isn't a duration/, () => sleep("7 days")],
    ["an empty text", RangeError, /"" isn't a duration/, () => sleep("")],
    ["other digits", RangeError, /isn't a duration/, () => sleep("٣s")],
    ["a long text", RangeError, /isn't a duration/, () => sleep(`${"1".repeat(100_000)}s`)],
    ["a negative number", RangeError, /-1 is negative/, () => sleep(-1)],
    ["NaN", RangeError, /NaN isn't a duration/, () => sleep(NaN)],
    ["Infinity", RangeError, /Infinity isn't a duration/, () => sleep(Infinity)],
    ["too long", RangeError, /"36501d" is more than the maximum, 36500 days/, () => sleep("36501d")],
    ["much too long", RangeError, /1e\+308 is more than the maximum/, () => sleep(1e308)],
    ["an invalid Date", RangeError, /the Date is invalid/, () => sleep(new Date(NaN))],
    ["a late Date", RangeError, /beyond the year 2261/, () => sleep(new Date("2300-01-01"))],
    ["nothing", TypeError, /^sleep\(\) can't be undefined; write a number of milliseconds/, () => sleep(undefined as never)],
    ["null", TypeError, /can't be null/, () => sleep(null as never)],
    ["an object", TypeError, /can't be a Object/, () => sleep({} as never)],
    ["a BigInt", TypeError, /can't be a bigint/, () => sleep(5n as never)],
    ["a bare timeout", TypeError, /options are an object: { timeout, signal }/, () => waitSignal("a", "3d" as never)],
    ["an option of another name", TypeError, /no option "timout"; there is timeout, signal/, () => waitSignal("a", { timout: 1 } as never)],
    ["a timeout for sleep", TypeError, /sleep\(\) has no option "timeout"/, () => sleep(1, { timeout: 1 } as never)],
    ["a timeout", RangeError, /^waitSignal\(\): timeout: "soon" .* or "7d"$/, () => waitSignal("a", { timeout: "soon" })],
    ["a Date as timeout", TypeError, /can't be a Date/, () => waitSignal("a", { timeout: new Date() as never })],
    ["another signal", TypeError, /signal is an AbortSignal, not a AbortController/, () => sleep(1, { signal: new AbortController() as never })],
    ["no name", RangeError, /1 to 128 bytes, this one has 0/, () => waitSignal("")],
    ["a long name", RangeError, /this one has 130/, () => waitSignal("é".repeat(65))],
    ["a NUL", RangeError, /can't contain a NUL/, () => waitSignal("a\0b")],
    ["half a character", RangeError, /isn't Unicode/, () => waitSignal("\ud800")],
    ["another name", TypeError, /is a string, not a number/, () => waitSignal(5 as never)],
  ];
  for (const [what, kind, message, run] of wrong) {
    test(what, async () => {
      const host = connect();
      const error = await within(() => run().then(() => assert.fail("it isn't refused"), (reason: unknown) => reason));
      assert.ok(error instanceof kind, String(error));
      assert.match(error.message, message);
      assert.equal(host.headers.length, 0);
    });
  }
});

describe("in a sandbox", () => {
  test("time passes", async () => {
    const host = connect();
    await within(() => sleep("7d"));
    assert.equal(host.now, 7 * 24 * HOUR);
    await within(() => sleep(new Date(0)));
    assert.equal(host.now, 7 * 24 * HOUR);
  });

  test("several at once, in the order in which they end", async () => {
    const host = connect({ "signal a": () => after(2 * HOUR, "A") });
    const order: unknown[] = [];
    await within(() =>
      Promise.all([
        sleep("3h").then(() => order.push(3)),
        waitSignal("a").then((value) => order.push(value)),
        sleep("1h").then(() => order.push(1)),
      ]),
    );
    assert.deepEqual(order, [1, "A", 3]);
    assert.equal(host.now, 3 * HOUR);
  });

  test("no signal in time", async () => {
    connect({ "signal go": timedOut });
    const error = await within(() => waitSignal("go", { timeout: "1h" }).catch((reason: unknown) => reason));
    assert.ok(error instanceof SignalTimeout && error instanceof NonRetryable);
    assert.deepEqual(
      [error.name, error.signalName, error.message],
      ["SignalTimeout", "go", 'no signal "go" came within 1h'],
    );
    assert.match(error.stack!, /waiting\.test\.ts/);
    const milliseconds = await within(() => waitSignal("go", { timeout: 1500 }).catch(String));
    assert.equal(milliseconds, 'SignalTimeout: no signal "go" came within 1500 ms');
  });

  test("a task that lets the timeout through isn't tried again", async () => {
    connect({ "signal go": timedOut });
    const [{ error }] = await replyOf(() => waitSignal("go", { timeout: 1 }));
    assert.deepEqual([error.type, error.class, error.retry], ["task_error", "SignalTimeout", false]);
  });

  test("a run that isn't recorded", async () => {
    connect({ "signal go": notRecorded });
    const caught = await within(() => waitSignal("go").catch((reason: unknown) => reason));
    assert.ok(caught instanceof TaskError);
    assert.deepEqual([caught.type, caught.message], ["policy", "this run isn't recorded"]);
    const [{ error }] = await replyOf(async () => waitSignal("go"));
    assert.deepEqual([error.type, error.message, error.retry], ["policy", "this run isn't recorded", false]);
  });

  test("another error of the host", async () => {
    connect({
      "signal go": () => {
        throw new Fails({ type: "cancelled", message: "the run was cancelled" });
      },
    });
    const [{ error }] = await replyOf(async () => waitSignal("go", { timeout: 1 }));
    assert.deepEqual([error.class, error.message, error.retry], ["TaskError", "cancelled: the run was cancelled", false]);
  });

  test("not while a module is imported", async () => {
    const host = connect();
    for (const wait of [() => sleep(1), () => waitSignal("a")]) {
      await assert.rejects(wait, /was called while a module is imported/);
    }
    assert.equal(host.headers.length, 0);
  });
});

describe("an abort signal", () => {
  test("that is aborted already", async () => {
    const host = connect();
    const reason = new Error("before");
    for (const wait of [sleep(1, { signal: AbortSignal.abort(reason) }), waitSignal("a", { signal: AbortSignal.abort(reason) })]) {
      await assert.rejects(wait, reason);
    }
    assert.equal(host.headers.length, 0);
  });

  test("ends the wait, and its operation", async () => {
    const host = connect({ "signal go": () => after(HOUR, "late") });
    const controller = new AbortController();
    const { signal } = controller;
    const waits = within(() => Promise.allSettled([sleep("7d", { signal }), waitSignal("go", { signal })]));
    controller.abort("enough");
    assert.deepEqual(
      (await waits).map((one) => one.status === "rejected" && one.reason),
      ["enough", "enough"],
    );
    assert.deepEqual(host.cancelled, [1, 2]);
    await nothing();
    assert.deepEqual([host.open, host.now], [0, 0]);
  });

  test("that aborts later does nothing", async () => {
    const host = connect({ "signal go": () => 1 });
    const controller = new AbortController();
    const { signal } = controller;
    assert.deepEqual(await within(() => Promise.all([sleep(1, { signal }), waitSignal("go", { signal })])), [undefined, 1]);
    controller.abort();
    assert.deepEqual(host.cancelled, []);
  });

  test("loses no signal that comes as it aborts", async () => {
    let sent = 0;
    connect({ "signal go": () => ++sent });
    const controller = new AbortController();
    await within(async () => {
      const first = waitSignal("go", { signal: controller.signal });
      controller.abort(); // the operation is done, but nobody has been told
      await assert.rejects(first, { name: "AbortError" });
      await nothing();
      assert.deepEqual([await waitSignal("go"), sent], [1, 1]);
      assert.deepEqual([await waitSignal("go"), sent], [2, 2]);
    });
  });
});

describe("outside of a sandbox", () => {
  const outside = <T>(body: () => Promise<T>) => {
    setWaiting(waitingOutside);
    return body().finally(() => setWaiting(waitingInside));
  };

  test("sleeping is real", async () => {
    await outside(async () => {
      const begin = performance.now();
      await sleep("20ms");
      await sleep(20);
      await sleep(new Date(Date.now() + 20));
      await sleep(new Date(0));
      assert.ok(performance.now() - begin >= 50);
    });
  });

  test("sleeping is aborted", async () => {
    await outside(async () => {
      const controller = new AbortController();
      const long = sleep("365d", { signal: controller.signal });
      controller.abort(new Error("enough"));
      await assert.rejects(long, /enough/);
      await assert.rejects(sleep("1h", { signal: AbortSignal.timeout(1) }), { name: "TimeoutError" });
    });
  });

  test("there are no signals", async () => {
    await outside(() => assert.rejects(waitSignal("go", { timeout: "3d" }), /signals reach runs of `capsule run` alone/));
  });
});

test("what tells of a resumed run isn't retried", async () => {
  for (const type of ["interrupted", "diverged"] as const) {
    connect();
    const [{ error }] = await replyOf(() => {
      throw new TaskError("x", { type, retry: true });
    });
    assert.equal(error.retry, false);
  }
});

test("idempotent is an option of tasks", () => {
  sdk.task({ name: "once", idempotent: false }, () => 1);
  assert.deepEqual(describeTasks().find(({ name }) => name === "once")?.options, { idempotent: false });
  assert.equal(call(headerOf("once"), "[[],{}]"), "1");
});
