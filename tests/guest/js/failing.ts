/** Ways in which a task ends badly. `main` returns those that end otherwise than expected. */
import { context, NonRetryable, TaskError, task } from "@capsule-run/sdk";

class OwnError extends Error {}
class Final extends NonRetryable {}

const once = { maxRetries: 0 } as const;
const small = { maxRetries: 0, ram: "64MB" } as const;

const plain = task({ name: "plain", ...once }, (): void => {
  throw new OwnError("on purpose");
});
const later = task({ name: "later", ...once }, async (): Promise<void> => {
  await null;
  throw new TypeError("on purpose");
});
const retried = task({ name: "retried", maxRetries: 1 }, (): void => {
  throw new RangeError(`attempt ${context().attempt}`);
});
const recovers = task({ name: "recovers", maxRetries: 2 }, () => {
  if (context().attempt < 3) throw new Error("not yet");
  return [context().attempt, context().idempotencyKey.length > 0];
});
const nonRetryable = task({ name: "non_retryable", maxRetries: 2 }, (): void => {
  throw new NonRetryable("not again");
});
const finalLater = task({ name: "final_later", maxRetries: 2 }, async (): Promise<void> => {
  throw new Final("not again");
});
const parentOfNonRetryable = task({ name: "parent_of_non_retryable", maxRetries: 3 }, () => nonRetryable());
const rethrows = task({ name: "rethrows", ...once }, () => {
  try {
    plain();
  } catch (error) {
    throw new Error("outer", { cause: error });
  }
});

const throwsText = task({ name: "throws_text", ...once }, (): void => {
  throw "text";
});
const throwsNothing = task({ name: "throws_nothing", ...once }, async (): Promise<void> => {
  throw undefined;
});
const throwsObject = task({ name: "throws_object", ...once }, (): void => {
  throw { code: 5 };
});
const throwsGroup = task({ name: "throws_group", ...once }, () => Promise.any([Promise.reject(new Error("a")), Promise.reject("b")]));
const hugeMessage = task({ name: "huge_message", ...once }, (): void => {
  throw new Error("x".repeat(5_000_000));
});
const brokenMessage = task({ name: "broken_message", ...once }, (): void => {
  throw Object.defineProperty(new Error(), "message", {
    get() {
      throw new OwnError();
    },
  });
});
const brokenProxy = task({ name: "broken_proxy", ...once }, (): void => {
  const no = () => {
    throw new OwnError();
  };
  throw new Proxy({}, { get: no, has: no, getPrototypeOf: no, ownKeys: no, getOwnPropertyDescriptor: no });
});
const deepCauses = task({ name: "deep_causes", ...once }, (): void => {
  let error = new Error("root");
  for (let i = 0; i < 100_000; i++) error = new Error("outer", { cause: error });
  throw error;
});

const hungry = task({ name: "hungry", ...small }, () => {
  const keep = [];
  for (;;) keep.push(new Uint8Array(1_000_000).fill(1));
});
const hungryForText = task({ name: "hungry_for_text", ...small }, () => {
  const keep = [];
  for (let i = 0; ; i++) keep.push("x".repeat(100_000) + i);
});
const hungryLater = task({ name: "hungry_later", ...small }, async () => {
  const keep = [];
  for (;;) {
    await null;
    keep.push(new Array(10_000).fill({}));
  }
});
const survivesHunger = task({ name: "survives_hunger", ...small }, () => {
  try {
    return new Uint8Array(500_000_000).length;
  } catch (error) {
    return (error as Error).constructor.name.endsWith("Error") ? "caught" : String(error);
  }
});

function endless(n: number): number {
  return endless(n + 1) + 1;
}
const deep = task({ name: "deep", ...once }, () => endless(0));
const deepCaught = task({ name: "deep_caught", ...once }, () => {
  try {
    return endless(0);
  } catch (error) {
    return (error as Error).constructor === RangeError ? "caught" : String(error);
  }
});
const deepInEngine = task({ name: "deep_in_engine", ...once, compute: "LOW" }, () => {
  let value: unknown[] = [];
  for (let i = 0; i < 100_000; i++) value = [value];
  try {
    return JSON.stringify(value).length;
  } catch {
    return "caught";
  }
});
const deepToString = task({ name: "deep_to_string", ...once }, () => {
  let value: unknown[] = [];
  for (let i = 0; i < 1_000_000; i++) value = [value];
  try {
    return String(value).length;
  } catch {
    return "caught";
  }
});
const deepExpression = task({ name: "deep_expression", ...once }, () => {
  try {
    return new Function(`return ${"(".repeat(200_000)}1${")".repeat(200_000)}`)();
  } catch {
    return "caught";
  }
});
const deepThroughEngine = task({ name: "deep_through_engine", ...once, compute: "HIGH" }, () => {
  const visit = (n: number): number => [n].map((m) => visit(m + 1))[0]!;
  try {
    return visit(0);
  } catch {
    return "caught";
  }
});
const deepGetter = task({ name: "deep_getter", ...once }, () => {
  const object: Record<string, unknown> = {
    get own() {
      return object["own"];
    },
  };
  try {
    return object["own"];
  } catch {
    return "caught";
  }
});
const deepProxy = task({ name: "deep_proxy", ...once }, () => {
  let proxy: Record<string, unknown> = {};
  for (let i = 0; i < 200_000; i++) proxy = new Proxy(proxy, {});
  try {
    return proxy["own"];
  } catch {
    return "caught";
  }
});
const deepJson = task({ name: "deep_json", ...once }, () => {
  try {
    return JSON.parse("[".repeat(500_000) + "]".repeat(500_000)).length;
  } catch {
    return "caught";
  }
});
const deepPattern = task({ name: "deep_pattern", ...once }, () => {
  try {
    return new RegExp("(".repeat(200_000) + ")".repeat(200_000)).test("");
  } catch {
    return "caught";
  }
});

const stuckInPattern = task({ name: "stuck_in_pattern", ...once, timeout: "300ms", compute: "HIGH" }, () =>
  /^(a+)+$/.test(`${"a".repeat(50)}!`),
);
const stuck = task({ name: "stuck", ...once, timeout: "300ms", compute: "HIGH" }, () => {
  for (;;);
});
const stuckInMicrotasks = task({ name: "stuck_in_microtasks", ...once, timeout: "300ms", compute: "HIGH" }, async () => {
  for (;;) await null;
});
const stuckInSort = task({ name: "stuck_in_sort", ...once, timeout: "300ms", compute: "HIGH" }, () => {
  for (;;) Array.from({ length: 100_000 }, (_, i) => -i).sort();
});
const wasteful = task({ name: "wasteful", ...once, compute: 100_000_000 }, () => {
  for (;;);
});
const sleeps = task({ name: "sleeps", ...once, timeout: "100ms" }, () => new Promise((resolve) => setTimeout(resolve, 3_600_000)));

const neverSettles = task({ name: "never_settles", ...once }, () => new Promise(() => {}));
const unhandled = task({ name: "unhandled", ...once }, async () => {
  void Promise.reject(new OwnError("nobody listens"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  return "went on";
});
const handledLate = task({ name: "handled_late", ...once }, async () => {
  const failed = Promise.reject(new OwnError("somebody listens"));
  await Promise.resolve();
  return failed.catch((error: Error) => error.message);
});
const throwsInTimer = task({ name: "throws_in_timer", ...once }, async () => {
  setTimeout(() => {
    throw new OwnError("in a timer");
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  return "went on";
});
const oddThenable = task({ name: "odd_thenable", ...once }, () => ({
  then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    resolve(1);
    reject(new OwnError("too late"));
    resolve(2);
    throw new OwnError("even later");
  },
}));
const brokenThenable = task({ name: "broken_thenable", ...once }, () =>
  Object.defineProperty({}, "then", {
    get() {
      throw new OwnError("no then");
    },
  }),
);

const undefinedResult = task({ name: "undefined_result", ...once }, () => undefined);
const functionResult = task({ name: "function_result", ...once }, () => endless);
const bigintResult = task({ name: "bigint_result", ...once }, async () => 1n);
const cycleResult = task({ name: "cycle_result", ...once }, () => {
  const value: unknown[] = [];
  value.push(value);
  return value;
});
const generatorResult = task({ name: "generator_result", ...once }, () => [1].values());

/** What a call comes to: its result, or [type, class, retries, beginning of the message]. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof TaskError)) return `not a TaskError: ${error}`;
    return [error.type, error.className ?? null, error.execution.retries, error.message.slice(0, 60)];
  }
}

const failed = (type: string, className: string | null, message: RegExp | string = /^/, retries = 0) => [type, className, retries, message];

/** Calls, and what they come to. A pattern stands for texts that it matches. */
type Table = [task: (() => unknown) & { readonly name: string }, outcome: unknown][];

const EXPECTED: Table = [
  [plain, failed("task_error", "OwnError", "on purpose")],
  [later, failed("task_error", "TypeError", "on purpose")],
  [retried, failed("task_error", "RangeError", "attempt 2", 1)],
  [recovers, [3, true]],
  [nonRetryable, failed("task_error", "NonRetryable", "not again")],
  [finalLater, failed("task_error", "Final", "not again")],
  [parentOfNonRetryable, failed("task_error", "TaskError", /^task 'non_retryable' failed: NonRetryable: not again/)],
  [rethrows, failed("task_error", "Error", "outer")],
  [throwsText, failed("task_error", null, "text")],
  [throwsNothing, failed("task_error", null, "undefined was thrown")],
  [throwsObject, failed("task_error", null, /^an object that isn't an Error was thrown: \{"code":5\}/)],
  [throwsGroup, failed("task_error", "AggregateError")],
  [hugeMessage, failed("task_error", "Error", /^x+$/)],
  [brokenMessage, failed("task_error", "Error", "(reading its message threw OwnError)")],
  [brokenProxy, failed("task_error", null, "(reading its message threw OwnError)")],
  [hungry, failed("out_of_memory", null)],
  [hungryForText, failed("out_of_memory", null)],
  [survivesHunger, "caught"],
  [deep, failed("task_error", "RangeError", /^the call stack is full/)],
  [deepCaught, "caught"],
  [deepInEngine, /caught|out_of_fuel/], // the engine looks for cycles in a list
  [deepExpression, "caught"],
  [deepThroughEngine, "caught"],
  [deepGetter, "caught"],
  [deepPattern, "caught"],
  [stuckInPattern, failed("timeout", null)],
  [stuck, failed("timeout", null)],
  [stuckInMicrotasks, failed("timeout", null)],
  [stuckInSort, failed("timeout", null)],
  [wasteful, failed("out_of_fuel", null)],
  [sleeps, failed("timeout", null)],
  [neverSettles, failed("task_error", "Error", /^a promise is awaited that nothing can settle/)],
  [unhandled, failed("task_error", "OwnError", "nobody listens")],
  [handledLate, "somebody listens"],
  [throwsInTimer, failed("task_error", "OwnError", "in a timer")],
  [oddThenable, 1],
  [brokenThenable, failed("task_error", "OwnError", "no then")],
  [undefinedResult, null],
  [functionResult, failed("bad_output", null, /^result: a function \(endless\)/)],
  [bigintResult, failed("bad_output", null, /^result: a BigInt/)],
  [cycleResult, failed("bad_output", null, /^result\[0\]: an array that contains itself/)],
  [generatorResult, failed("bad_output", null, /^result: .* isn't a JSON value; send an array/)],
];

/** Those that make hundreds of thousands of objects. */
const EXPECTED_OF_MANY: Table = [
  [deepCauses, failed("task_error", "Error", "outer")],
  [hungryLater, failed("out_of_memory", null)],
  [deepToString, "caught"],
  [deepProxy, "caught"],
  [deepJson, "caught"],
];

function fits(actual: unknown, expected: unknown): boolean {
  if (expected instanceof RegExp) return expected.test(Array.isArray(actual) ? actual[0] : String(actual));
  if (!Array.isArray(expected)) return actual === expected;
  return Array.isArray(actual) && actual.length === expected.length && expected.every((e, i) => fits(actual[i], e));
}

async function differences(table: Table): Promise<Record<string, unknown>> {
  const wrong: Record<string, unknown> = {};
  for (const [call, expected] of table) {
    const actual = await outcome(call);
    if (!fits(actual, expected)) wrong[call.name] = actual ?? null;
  }
  return wrong;
}

export const main = task({ name: "main", compute: "HIGH" }, () => differences(EXPECTED));
export const withMany = task({ name: "with_many", compute: "HIGH" }, () => differences(EXPECTED_OF_MANY));

/** The text of tracebacks: a failed child's, with its cause, in the file that the user wrote. */
export const tracebacks = task({ name: "tracebacks" }, () => {
  try {
    rethrows();
    return "no error";
  } catch (error) {
    return (error as TaskError).traceback ?? "none";
  }
});
