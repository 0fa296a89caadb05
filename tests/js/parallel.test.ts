/** Handles and maps, on a fake host: sdk/js/src/handle.ts, map.ts. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { leave, sdk } from "../../sdk/js/src/inside.js";
import { after, Fails, HOUR } from "./fake_host.js";
import { connect, task, within } from "./inside.js";

const { TaskError } = sdk;
afterEach(leave);

const tasks = {
  double: (n: number) => 2 * n,
  adouble: (n: number) => 2 * n,
  echo: (value: unknown) => value,
  add: (a: number, b = 100) => a + b,
  sleep: (ms: number, value: unknown) => after(ms, value),
  asleep: (ms: number) => after(ms, ms),
  promising: (n: number) => Object.assign(after(n, n), { async: true }),
  picky: (ms: number) => {
    if (ms < 0) throw new Fails({ class: "RangeError", message: `not ${ms}`, after: -ms });
    return after(ms, ms);
  },
  apicky: (ms: number) => tasks.picky(ms),
};
const double = task({ name: "double" }, (n: number) => 2 * n);
const adouble = task({ name: "adouble" }, async (n: number) => 2 * n);
const echo = task({ name: "echo" }, (value: unknown) => value);
const add = task({ name: "add" }, (a: number, b = 100) => a + b);
const sleep = task({ name: "sleep" }, (_ms: number, value?: unknown) => value);
const asleep = task({ name: "asleep" }, async (ms: number) => ms);
const promising = task({ name: "promising" }, (n: number) => Promise.resolve(n));
const picky = task({ name: "picky" }, (ms: number) => ms);
const apicky = task({ name: "apicky" }, async (ms: number) => ms);

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const isCancelled = (error: unknown) => error instanceof TaskError && error.type === "cancelled";

describe("handles", () => {
  test("result(), twice, of both kinds", () => {
    connect(tasks);
    within(() => {
      const [one, other] = [double.start(4), adouble.start(5)];
      assert.deepEqual([one.result(), other.result(), one.result(), one.done(), one.taskName], [8, 10, 8, true, "double"]);
      assert.equal(one.cancel(), false);
    });
  });

  test("start() starts at once, and result() waits for its own", () => {
    const host = connect(tasks);
    within(() => {
      const [slow, quick] = [sleep.start(HOUR, "slow"), sleep.start(5, "quick")];
      assert.equal(host.submitted.length, 2);
      assert.equal(quick.done(), false);
      assert.equal(quick.result(), "quick");
      assert.deepEqual([slow.done(), host.now], [false, 5]);
    });
  });

  test("await, then(), catch(), finally(), Promise.all, Promise.race", async () => {
    connect(tasks);
    await within(async () => {
      const one = double.start(1);
      assert.deepEqual([await one, await one, one.result()], [2, 2, 2]);
      assert.equal(await double.start(2).then((n) => n + 1), 5);
      assert.equal(await double.start(2).finally(() => {}), 4);
      assert.equal(await picky.start(-1).catch((error: unknown) => (error as Error).message), "not -1");
      assert.deepEqual(await Promise.all([double.start(1), adouble.start(2), asleep(3)]), [2, 4, 3]);
      assert.equal(await Promise.race([sleep.start(HOUR, "tortoise"), sleep.start(5, "hare")]), "hare");
    });
  });

  test("awaited after result()", async () => {
    connect(tasks);
    await within(async () => {
      const [one, bad] = [double.start(1), picky.start(-1)];
      assert.equal(one.result(), 2);
      assert.throws(() => bad.result(), /not -1/);
      assert.equal(await one, 2);
      await assert.rejects(bad, /not -1/);
    });
  });

  test("cancel()", async () => {
    const host = connect(tasks);
    await within(async () => {
      const slow = sleep.start(HOUR);
      assert.equal(slow.cancel(), true);
      assert.throws(() => slow.result(), isCancelled);
      assert.throws(() => slow.result(), isCancelled);
      assert.deepEqual([slow.done(), slow.cancel()], [true, false]);
      const awaited = sleep.start(HOUR);
      awaited.cancel();
      await assert.rejects(Promise.resolve(awaited), isCancelled);
    });
    assert.ok(host.now < HOUR);
  });

  test("a failure that nobody asks for bothers nobody", async () => {
    connect(tasks);
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    within(() => picky.start(-1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });

  test("a handle shows what it is", () => {
    connect(tasks);
    assert.match(String(within(() => double.start(1))), /Handle of task "double", running/);
  });
});

describe("map() of a plain function's task", () => {
  test("results in the order of the items", () => {
    const host = connect(tasks);
    within(() => {
      assert.deepEqual(double.map(range(5)), [0, 2, 4, 6, 8]);
      assert.deepEqual(double.map(new Set([1, 2])), [2, 4]);
      assert.deepEqual(double.map([]), []);
      assert.deepEqual(sleep.map([30, 10, 20]), [null, null, null]);
      assert.equal(host.now, 30);
    });
  });

  test("arrays aren't spread; starmap() does", () => {
    connect(tasks);
    within(() => {
      assert.deepEqual(echo.map([[1, 2], [3]]), [[1, 2], [3]]);
      assert.deepEqual(echo.map("ab"), ["a", "b"]);
      assert.deepEqual(add.starmap([[1, 2], [3]]), [3, 103]);
      assert.deepEqual(add.map([1]), [101]);
    });
  });

  test("at most so many at once, and no slot stays empty", () => {
    const host = connect(tasks);
    within(() => {
      assert.equal(double.map(range(50), { concurrency: 3 }).length, 50);
      assert.equal(host.mostOpen, 3);
      sleep.map([100, ...range(10).map(() => 10)], { concurrency: 2 });
      assert.equal(host.now, 100);
    });
  });

  test("2,048 unless said otherwise", () => {
    const host = connect(tasks);
    within(() => sleep.map(range(3000)));
    assert.equal(host.mostOpen, 2048);
  });

  test("items are taken as tasks may start", () => {
    const host = connect(tasks);
    const log: string[] = [];
    function* items() {
      for (const i of range(5)) {
        log.push(`${i} at ${host.now}`);
        yield 10;
      }
    }
    within(() => sleep.map(items(), { concurrency: 2 }));
    assert.deepEqual(log, ["0 at 0", "1 at 0", "2 at 10", "3 at 10", "4 at 20"]);
  });

  test("the first failure cancels the rest, which have ended", () => {
    const host = connect(tasks);
    within(() => {
      assert.throws(() => picky.map([HOUR, HOUR, -5, HOUR]), (e: unknown) => e instanceof TaskError && e.message === "not -5");
      assert.deepEqual([host.now, host.open, host.cancelled.length], [5, 0, 3]);
    });
  });

  test("the first failure is the one that is told", () => {
    connect(tasks);
    within(() => assert.throws(() => picky.map([-9, -5, -7]), /not -5/));
  });

  test("nothing is started after a failure, and the iterator is closed", () => {
    const host = connect(tasks);
    let closed = false;
    function* items() {
      try {
        for (;;) yield -1;
      } finally {
        closed = true;
      }
    }
    within(() => assert.throws(() => picky.map(items(), { concurrency: 4 }), /not -1/));
    assert.deepEqual([host.submitted.length, host.open, closed], [4, 0, true]);
  });

  test("errors in their places", () => {
    connect(tasks);
    const results = within(() => picky.map([1, -2, 3], { returnErrors: true }));
    assert.deepEqual([results[0], (results[1] as Error).message, results[2]], [1, "not -2", 3]);
  });

  test("an iterator that throws", () => {
    const host = connect(tasks);
    function* items() {
      yield HOUR;
      throw new RangeError("no more");
    }
    within(() => {
      for (const returnErrors of [false, true]) {
        assert.throws(() => sleep.map(items(), { returnErrors }), /no more/);
      }
    });
    assert.deepEqual([host.open, host.cancelled.length], [0, 2]);
  });

  test("an item that can't cross", () => {
    const host = connect(tasks);
    within(() => {
      assert.throws(() => echo.map([1, () => 1, 3]), /argument 1: a function/);
      assert.equal(host.open, 0);
      const kept = echo.map([1, () => 1, 3], { returnErrors: true });
      assert.deepEqual([kept[0], (kept[1] as { type: string }).type, kept[2]], [1, "bad_input", 3]);
    });
  });

  test("an iterator that calls tasks itself", () => {
    connect(tasks);
    function* items() {
      for (const i of range(20)) yield double(i);
    }
    assert.deepEqual(within(() => double.map(items(), { concurrency: 3 })), range(20).map((i) => 4 * i));
  });

  test("what isn't accepted", () => {
    connect(tasks);
    within(() => {
      for (const concurrency of [0, -1, Number.NaN, "2" as never]) {
        assert.throws(() => double.map([1], { concurrency }), RangeError);
      }
      assert.throws(() => double.map(3 as never), /can be iterated over/);
      assert.throws(() => add.starmap([3] as never), TypeError);
      const { map } = double;
      assert.throws(() => map([1]), /called on a task/);
    });
  });

  test("beside handles and Promises: news reach everybody", async () => {
    connect(tasks);
    await within(async () => {
      const before = asleep(10);
      const handle = sleep.start(10, "handle");
      assert.deepEqual(double.map(range(10)), range(10).map((n) => 2 * n));
      assert.deepEqual(sleep.map([20, 20]), [null, null]);
      assert.deepEqual([handle.done(), await before, await handle], [true, 10, "handle"]);
    });
  });
});

describe("map() of an async function's task", () => {
  test("gives a Promise, and starts at once", async () => {
    const host = connect(tasks);
    await within(async () => {
      const results = adouble.map(range(5));
      assert.ok(results instanceof Promise);
      assert.equal(host.submitted.length, 5);
      assert.deepEqual(await results, [0, 2, 4, 6, 8]);
      assert.deepEqual(await adouble.map([]), []);
      assert.deepEqual(await Promise.all([adouble.map([1]), asleep.map([2])]), [[2], [2]]);
    });
  });

  test("bounded, in order, and no slot stays empty", async () => {
    const host = connect(tasks);
    const items = [100, ...range(10).map(() => 10)];
    assert.deepEqual(await within(() => asleep.map(items, { concurrency: 2 })), items);
    assert.deepEqual([host.mostOpen, host.now], [2, 100]);
  });

  test("the first failure cancels the rest, which have ended", async () => {
    const host = connect(tasks);
    await within(async () => {
      await assert.rejects(apicky.map([HOUR, HOUR, -5, HOUR]), /not -5/);
      assert.deepEqual([host.now, host.open, host.cancelled.length], [5, 0, 3]);
      const results = await apicky.map([1, -2], { returnErrors: true });
      assert.ok(results[1] instanceof TaskError);
    });
  });

  test("wrong options reject", async () => {
    connect(tasks);
    await within(() => assert.rejects(adouble.map([1], { concurrency: 0 }), RangeError));
  });
});

test("a function that returns Promises without being async", async () => {
  connect(tasks);
  await within(async () => {
    assert.deepEqual(await promising.map([2, 1]), [2, 1]);
    const again = promising.map([1]);
    assert.ok(again instanceof Promise);
    assert.deepEqual(await again, [1]);
    assert.equal(await promising.start(3), 3);
  });
});

test("many", async () => {
  const host = connect(tasks);
  await within(async () => {
    assert.equal((await adouble.map(range(20_000))).length, 20_000);
    assert.equal(double.map(range(20_000)).at(-1), 39_998);
  });
  assert.equal(host.open, 0);
});
