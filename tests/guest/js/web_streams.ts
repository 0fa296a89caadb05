/** The streams: the facts of web-platform-tests' streams/. The implementation passes all of those; this sees that it does so here. */
import { task } from "@capsule-run/sdk";
import { Checks, drain, pause, utf8 } from "./checks.js";

const boom = new Error("boom");

/** streams/readable-streams/general.any.js, default-reader.any.js, cancel.any.js */
async function readable(c: Checks): Promise<void> {
  const log: unknown[] = [];
  let n = 0;
  const stream = new ReadableStream<number>(
    {
      start: () => void log.push("start"),
      pull(controller) {
        log.push(`pull ${controller.desiredSize}`);
        controller.enqueue(++n);
        if (n === 3) controller.close();
      },
      cancel: (reason) => void log.push(["cancel", reason]),
    },
    { highWaterMark: 0 },
  );
  c.equal("not locked", stream.locked, false);
  await pause();
  c.equal("nothing is pulled unasked", log.splice(0), ["start"]);
  const reader = stream.getReader();
  c.equal("locked", stream.locked, true);
  c.throws("a second reader", TypeError, () => stream.getReader());
  await c.rejects("cancel while locked", TypeError, () => stream.cancel());
  c.equal(
    "read",
    [await reader.read(), await reader.read()],
    [
      { value: 1, done: false },
      { value: 2, done: false },
    ],
  );
  reader.releaseLock();
  await c.rejects("read after releaseLock", TypeError, () => reader.read());
  c.equal("the rest", await drain(stream), [3]);
  c.equal("pulled one by one", log.splice(0), ["pull 0", "pull 0", "pull 0"]);

  const cancelled = new ReadableStream({ cancel: (reason) => void log.push(["cancelled", reason]) });
  await cancelled.cancel("why");
  c.equal("cancel", log.splice(0), [["cancelled", "why"]]);
  const failing = new ReadableStream({
    pull: () => {
      throw boom;
    },
  });
  await c.rejectsWith("an error of pull", boom, failing.getReader().read());
  const errored = new ReadableStream({ start: (controller) => controller.error(boom) });
  const its = errored.getReader();
  await c.rejectsWith("error()", boom, its.read());
  await c.rejectsWith("closed", boom, its.closed);
  c.throws(
    "an error of start",
    Error,
    () =>
      new ReadableStream({
        start: () => {
          throw new Error("start");
        },
      }),
  );
}

/** streams/readable-streams/async-iterator.any.js, from.any.js */
async function iteration(c: Checks): Promise<void> {
  const seen: unknown[] = [];
  for await (const chunk of ReadableStream.from([1, Promise.resolve(2), 3])) seen.push(chunk);
  c.equal("from an iterable", seen.splice(0), [1, 2, 3]);
  async function* source() {
    try {
      yield "a";
      yield "b";
      yield "c";
    } finally {
      seen.push("returned");
    }
  }
  for await (const chunk of ReadableStream.from(source())) {
    seen.push(chunk);
    if (chunk === "b") break;
  }
  c.equal("break cancels", seen.splice(0), ["a", "b", "returned"]);
  const kept = ReadableStream.from(["x", "y"]);
  for await (const chunk of kept.values({ preventCancel: true })) {
    seen.push(chunk);
    break;
  }
  c.equal("preventCancel", [seen.splice(0), await drain(kept)], [["x"], ["y"]]);
  c.throws("from nothing", TypeError, () => ReadableStream.from(1 as any));
  await c.rejectsWith(
    "from what throws",
    boom,
    drain(
      ReadableStream.from(
        (function* () {
          throw boom;
        })(),
      ),
    ),
  );
}

/** streams/readable-streams/tee.any.js */
async function tee(c: Checks): Promise<void> {
  let cancelled: unknown;
  let n = 0;
  const stream = new ReadableStream<number>(
    {
      pull: (controller) => (n < 3 ? controller.enqueue(n++) : controller.close()),
      cancel: (reason) => void (cancelled = reason),
    },
    { highWaterMark: 0 },
  );
  const [a, b] = stream.tee();
  c.equal(
    "both have all",
    [await drain(a), await drain(b)],
    [
      [0, 1, 2],
      [0, 1, 2],
    ],
  );
  const source = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
  const [d, e] = source.tee();
  const first = d.cancel(1);
  await pause();
  c.equal("one cancel isn't enough", cancelled, undefined);
  await Promise.all([first, e.cancel(2)]);
  c.equal("both are", cancelled, [1, 2]);
  const [f, g] = new ReadableStream({ start: (controller) => controller.error(boom) }).tee();
  await c.rejectsWith("an error, one", boom, f.getReader().read());
  await c.rejectsWith("an error, other", boom, g.getReader().read());
}

/** streams/writable-streams/*.any.js */
async function writable(c: Checks): Promise<void> {
  const log: unknown[] = [];
  let go: () => void = () => {};
  const stream = new WritableStream<string>(
    {
      start: () => void log.push("start"),
      write: (chunk) =>
        new Promise<void>((resolve) => {
          log.push(chunk);
          go = resolve;
        }),
      close: () => void log.push("close"),
      abort: (reason) => void log.push(["abort", reason]),
    },
    new CountQueuingStrategy({ highWaterMark: 2 }),
  );
  const writer = stream.getWriter();
  c.equal("room", writer.desiredSize, 2);
  const one = writer.write("one");
  const two = writer.write("two");
  c.equal("no room", writer.desiredSize, 0);
  await pause();
  c.equal("one at a time", log, ["start", "one"]);
  go();
  await one;
  await pause();
  go();
  await two;
  await writer.ready;
  c.equal("room again", writer.desiredSize, 2);
  await writer.close();
  c.equal("closed", log.splice(0), ["start", "one", "two", "close"]);
  await c.rejects("write after close", TypeError, () => writer.write("x"));

  const aborted = new WritableStream({ abort: (reason) => void log.push(reason) });
  await aborted.abort("why");
  c.equal("abort", log.splice(0), ["why"]);
  await c.rejectsWith("closed of an aborted one", "why", aborted.getWriter().closed);
  const failing = new WritableStream({
    write: () => {
      throw boom;
    },
  }).getWriter();
  await c.rejectsWith("an error of write", boom, failing.write("x"));
  await c.rejectsWith("closed", boom, failing.closed);
  let signal: AbortSignal | undefined;
  const stuck = new WritableStream({
    start: (controller) => void (signal = controller.signal as AbortSignal),
    write: () => new Promise(() => {}),
  });
  const w = stuck.getWriter();
  void w.write("x").catch(() => {});
  void w.closed.catch(() => {});
  void w.ready.catch(() => {});
  await pause();
  void w.abort(boom).catch(() => {});
  c.equal("the controller's signal", [signal?.aborted, signal?.reason === boom], [true, true]);
}

/** streams/piping/*.any.js */
async function piping(c: Checks): Promise<void> {
  const written: unknown[] = [];
  const sink = (more: UnderlyingSinkLike = {}) =>
    new WritableStream({ write: (chunk) => void written.push(chunk), ...more });
  const pipe = ReadableStream.from([1, 2]).pipeTo(sink({ close: () => void written.push("closed") }));
  await pipe;
  c.equal("pipeTo", written.splice(0), [1, 2, "closed"]);
  const open = sink({ close: () => void written.push("closed") });
  await ReadableStream.from([1]).pipeTo(open, { preventClose: true });
  c.equal("preventClose", [written.splice(0), open.locked], [[1], false]);

  let aborted: unknown;
  let cancelled: unknown;
  const failing = new ReadableStream({
    pull: () => {
      throw boom;
    },
  });
  await c.rejectsWith("the source fails", boom, failing.pipeTo(sink({ abort: (reason) => void (aborted = reason) })));
  c.ok("which aborts the sink", aborted === boom);
  const endless = () =>
    new ReadableStream({ pull: (controller) => controller.enqueue(1), cancel: (reason) => void (cancelled = reason) });
  await c.rejectsWith(
    "the sink fails",
    boom,
    endless().pipeTo(
      new WritableStream({
        write: () => {
          throw boom;
        },
      }),
    ),
  );
  c.ok("which cancels the source", cancelled === boom);
  const stop = new AbortController();
  const stopped = endless().pipeTo(sink({ write: () => pause(1), abort: (reason) => void (aborted = reason) }), {
    signal: stop.signal,
  });
  await pause(3);
  stop.abort("enough");
  await c.rejectsWith("a signal", "enough", stopped);
  c.equal("aborts and cancels", [aborted, cancelled], ["enough", "enough"]);
  written.length = 0;

  const upper = new TransformStream<string, string>({
    transform: (chunk, controller) => controller.enqueue(chunk.toUpperCase()),
    flush: (controller) => controller.enqueue("END"),
  });
  c.equal("pipeThrough", await drain(ReadableStream.from(["a", "b"]).pipeThrough(upper)), ["A", "B", "END"]);
  const throwing = new TransformStream({
    transform: () => {
      throw boom;
    },
  });
  await c.rejectsWith("transform fails", boom, drain(ReadableStream.from([1]).pipeThrough(throwing)));
  const identity = new TransformStream();
  c.equal("identity", await drain(ReadableStream.from([1, 2]).pipeThrough(identity)), [1, 2]);
}

interface UnderlyingSinkLike {
  write?: (chunk: unknown) => any;
  close?: () => any;
  abort?: (reason: unknown) => any;
}

/** Backpressure: streams/piping/flow-control.any.js, streams/transform-streams/backpressure.any.js */
async function backpressure(c: Checks): Promise<void> {
  let pulled = 0;
  const source = new ReadableStream({ pull: (controller) => controller.enqueue(pulled++) }, { highWaterMark: 0 });
  const stop = new AbortController();
  let taken = 0;
  let more: () => void = () => {};
  const slow = new WritableStream(
    {
      write: () =>
        new Promise<void>((resolve) => {
          taken++;
          more = resolve;
        }),
    },
    { highWaterMark: 1 },
  );
  const pipe = source.pipeTo(slow, { signal: stop.signal });
  await pause(3);
  c.ok("a slow sink stops the source", pulled <= 2 && taken === 1);
  more();
  await pause(3);
  c.ok("and lets it go on", taken === 2);
  stop.abort();
  more();
  await c.rejects("stopped", "AbortError", () => pipe);
  const size = new ByteLengthQueuingStrategy({ highWaterMark: 10 });
  c.equal(
    "by bytes",
    [size.highWaterMark, size.size(new Uint8Array(7)), (new CountQueuingStrategy({ highWaterMark: 1 }) as any).size()],
    [10, 7, 1],
  );
  let desired: unknown[] = [];
  new ReadableStream(
    {
      start(controller) {
        desired.push(controller.desiredSize);
        controller.enqueue(new Uint8Array(7));
        desired.push(controller.desiredSize);
      },
    },
    size,
  );
  c.equal("desiredSize", desired, [10, 3]);
}

/** streams/readable-byte-streams/general.any.js, read-min.any.js, tee.any.js */
async function bytes(c: Checks): Promise<void> {
  const made = () => {
    let left = 3;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (left-- === 0) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else controller.enqueue(utf8("abcd"));
      },
    });
  };
  const reader = made().getReader({ mode: "byob" });
  const first = await reader.read(new Uint8Array(2));
  c.equal("as many as fit", new TextDecoder().decode(first.value), "ab");
  const buffer = new Uint8Array(10);
  const second = await reader.read(buffer.subarray(0, 6));
  c.equal("the view's memory is taken", [buffer.byteLength, new TextDecoder().decode(second.value)], [0, "cd"]);
  const third = await reader.read(new Uint8Array(8), { min: 8 });
  c.equal("at least", new TextDecoder().decode(third.value), "abcdabcd");
  const end = await reader.read(new Uint8Array(1));
  c.equal("the end", [end.done, end.value?.byteLength], [true, 0]);
  await c.rejects("an empty view", TypeError, () => made().getReader({ mode: "byob" }).read(new Uint8Array(0)));
  c.throws("byob of others", TypeError, () => (new ReadableStream() as any).getReader({ mode: "byob" }));

  const filling = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const view = controller.byobRequest!.view as Uint8Array;
      view[0] = 42;
      controller.byobRequest!.respond(1);
    },
  }).getReader({ mode: "byob" });
  const filled = await filling.read(new Uint8Array(4));
  c.equal("byobRequest", [...(filled.value as Uint8Array)], [42]);
  const [one, other] = made().tee();
  const text = async (stream: ReadableStream) =>
    new TextDecoder().decode(Uint8Array.from((await drain<Uint8Array>(stream)).flatMap((part) => [...part])));
  c.equal("tee", [await text(one), await text(other)], ["abcdabcdabcd", "abcdabcdabcd"]);
}

function interfaces(c: Checks): void {
  for (const name of ["ReadableStream", "WritableStream", "TransformStream"]) {
    const made = new (globalThis as any)[name]();
    c.equal(name, Object.prototype.toString.call(made), `[object ${name}]`);
  }
  c.throws("a reader of no stream", TypeError, () => new ReadableStreamDefaultReader({} as any));
  c.throws("a controller", TypeError, () => new (ReadableStreamDefaultController as any)());
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  const blocks = { readable, iteration, tee, writable, piping, backpressure, bytes, interfaces };
  for (const [name, run] of Object.entries(blocks)) await c.block(name, () => run(c));
  return c.failures;
});
