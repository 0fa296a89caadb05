/** Event, EventTarget, AbortController and AbortSignal: the facts of web-platform-tests' dom/events/ and dom/abort/. */
import { task } from "@capsule-run/sdk";
import { Checks, pause } from "./checks.js";

/** dom/events/Event-constructors.any.js, Event-defaultPrevented.html, Event-initEvent.html */
function events(c: Checks): void {
  const e = new Event("x", { bubbles: true, cancelable: true, composed: true });
  c.equal(
    "attributes",
    [
      e.type,
      e.bubbles,
      e.cancelable,
      e.composed,
      e.isTrusted,
      e.eventPhase,
      e.target,
      e.currentTarget,
      e.defaultPrevented,
      e.returnValue,
      e.cancelBubble,
    ],
    ["x", true, true, true, false, 0, null, null, false, true, false],
  );
  c.ok("timeStamp", e.timeStamp > 0 && e.timeStamp <= performance.now());
  e.preventDefault();
  c.equal("preventDefault", [e.defaultPrevented, e.returnValue], [true, false]);
  const fixed = new Event("x");
  fixed.preventDefault();
  fixed.returnValue = false;
  c.equal("not cancelable", fixed.defaultPrevented, false);
  fixed.initEvent("y", true, true);
  c.equal("initEvent", [fixed.type, fixed.bubbles, fixed.cancelable], ["y", true, true]);
  c.throws("no type", TypeError, () => new (Event as any)());
  c.equal("type is text", [new Event(null as any).type, new Event(undefined as any).type], ["null", "undefined"]);
  c.equal("constants", [Event.NONE, Event.AT_TARGET, (e as any).BUBBLING_PHASE], [0, 2, 3]);
  c.equal("path", e.composedPath(), []);
  const custom = new CustomEvent("c", { detail: { a: 1 } });
  c.equal("detail", [custom.detail, new CustomEvent("c").detail], [{ a: 1 }, null]);
  c.ok("is an Event", custom instanceof Event);
  c.equal("tags", [String(e), String(custom)], ["[object Event]", "[object CustomEvent]"]);
}

/** dom/events/EventTarget-*.any.js, AddEventListenerOptions-*.any.js */
async function targets(c: Checks): Promise<void> {
  const t = new EventTarget();
  const seen: unknown[] = [];
  const listener = (e: Event) => void seen.push(e.type);
  t.addEventListener("a", listener);
  t.addEventListener("a", listener);
  t.addEventListener("a", {
    handleEvent: (e: Event) => void seen.push(["object", e.target === t, e.currentTarget === t, e.eventPhase]),
  });
  t.addEventListener("a", function (this: unknown) {
    seen.push(this === t);
  });
  c.equal("dispatch", t.dispatchEvent(new Event("a")), true);
  c.equal("order, once each", seen.splice(0), ["a", ["object", true, true, 2], true]);
  t.removeEventListener("a", listener, true);
  t.dispatchEvent(new Event("a"));
  c.equal("capture counts", seen.splice(0).length, 3);
  t.removeEventListener("a", listener);
  t.dispatchEvent(new Event("a"));
  c.equal("removed", seen.splice(0).length, 2);

  const u = new EventTarget();
  u.addEventListener("a", () => seen.push("bubble"));
  u.addEventListener("a", () => seen.push("capture"), true);
  u.addEventListener("a", () => seen.push("once"), { once: true });
  u.dispatchEvent(new Event("a"));
  u.dispatchEvent(new Event("a"));
  c.equal("capture first, once once", seen.splice(0), ["capture", "bubble", "once", "capture", "bubble"]);

  const v = new EventTarget();
  v.addEventListener("a", (e: Event) => e.preventDefault(), { passive: true });
  c.equal("passive", v.dispatchEvent(new Event("a", { cancelable: true })), true);
  v.addEventListener("a", (e: Event) => e.preventDefault());
  c.equal("prevented", v.dispatchEvent(new Event("a", { cancelable: true })), false);
}

/** dom/events/Event-dispatch-*.html, EventListener-*.html */
async function dispatching(c: Checks): Promise<void> {
  const seen: unknown[] = [];
  const w = new EventTarget();
  w.addEventListener("a", (e: Event) => {
    seen.push(1);
    e.stopImmediatePropagation();
  });
  w.addEventListener("a", () => seen.push(2));
  w.dispatchEvent(new Event("a"));
  c.equal("stopImmediatePropagation", seen.splice(0), [1]);

  const x = new EventTarget();
  const late = () => seen.push("late");
  x.addEventListener("a", () => {
    seen.push("first");
    x.removeEventListener("a", second);
    x.addEventListener("a", late);
  });
  const second = () => seen.push("second");
  x.addEventListener("a", second);
  x.dispatchEvent(new Event("a"));
  c.equal("changed while dispatching", seen.splice(0), ["first"]);
  const again = new Event("again");
  x.addEventListener("again", () => c.throws("dispatched twice", "InvalidStateError", () => x.dispatchEvent(again)));
  x.dispatchEvent(again);
  c.throws("no event", TypeError, () => x.dispatchEvent({} as any));
  x.addEventListener("a", null);
  c.throws("no listener", TypeError, () => x.addEventListener("a", 1 as any));

  const stop = new AbortController();
  const y = new EventTarget();
  y.addEventListener("a", () => seen.push("signal"), { signal: stop.signal });
  y.dispatchEvent(new Event("a"));
  stop.abort();
  y.dispatchEvent(new Event("a"));
  y.addEventListener("a", () => seen.push("never"), { signal: stop.signal });
  y.dispatchEvent(new Event("a"));
  c.equal("signal", seen.splice(0), ["signal"]);
  c.throws("a bad signal", TypeError, () => y.addEventListener("a", () => {}, { signal: {} as any }));

  class Emitter extends EventTarget {
    n = 1;
  }
  c.ok("subclass", new Emitter().n === 1 && new Emitter().dispatchEvent(new Event("x")));
  c.throws("illegal receiver", TypeError, () => EventTarget.prototype.dispatchEvent.call({} as any, new Event("x")));
}

/** dom/abort/event.any.js, dom/abort/AbortSignal.any.js */
async function aborting(c: Checks): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const seen: string[] = [];
  c.equal("new", [signal.aborted, signal.reason, signal.onabort], [false, undefined, null]);
  signal.addEventListener("abort", (e: Event) =>
    seen.push(`listener ${e.type} ${e.isTrusted} ${e.bubbles} ${signal.aborted}`),
  );
  signal.onabort = () => void seen.push("handler");
  signal.throwIfAborted();
  controller.abort();
  controller.abort("again");
  c.equal("told once", seen, ["listener abort true false true", "handler"]);
  c.equal(
    "aborted",
    [signal.aborted, signal.reason instanceof DOMException, signal.reason.name, signal.reason.code],
    [true, true, "AbortError", 20],
  );
  c.throws("throwIfAborted", "AbortError", () => signal.throwIfAborted());
  c.ok("the same signal", controller.signal === signal);
  c.throws("no constructor", TypeError, () => new (AbortSignal as any)());

  const why = { why: true };
  const other = new AbortController();
  other.abort(why);
  c.ok("a reason", other.signal.reason === why);
  await c.rejectsWith("throws the reason", why, (async () => other.signal.throwIfAborted())());
  c.equal(
    "static abort",
    [AbortSignal.abort().aborted, AbortSignal.abort().reason.name, AbortSignal.abort(1).reason],
    [true, "AbortError", 1],
  );

  const timed = AbortSignal.timeout(5);
  c.equal("not yet", timed.aborted, false);
  const fired = await new Promise<Event>((resolve) => timed.addEventListener("abort", resolve));
  c.equal(
    "timeout",
    [fired.isTrusted, timed.reason.name, timed.reason instanceof DOMException],
    [true, "TimeoutError", true],
  );
  for (const bad of [-1, NaN, Infinity, undefined, "x"])
    c.throws(`timeout ${bad}`, TypeError, () => AbortSignal.timeout(bad as any));
}

/** dom/abort/abort-signal-any.any.js */
async function anyOf(c: Checks): Promise<void> {
  const [a, b] = [new AbortController(), new AbortController()];
  const any = AbortSignal.any([a.signal, b.signal, a.signal]);
  const nested = AbortSignal.any([any]);
  const order: string[] = [];
  a.signal.addEventListener("abort", () => order.push(`a ${any.aborted}`));
  any.addEventListener("abort", () => order.push("any"));
  nested.addEventListener("abort", () => order.push("nested"));
  c.equal("not yet", [any.aborted, nested.aborted], [false, false]);
  b.abort("b's");
  c.equal("reason", [any.reason, nested.reason, any.aborted], ["b's", "b's", true]);
  a.abort("a's");
  c.equal("first one counts", [any.reason, nested.reason], ["b's", "b's"]);
  c.equal("order", order, ["any", "nested", "a true"]);
  c.equal("already aborted", AbortSignal.any([new AbortController().signal, AbortSignal.abort("now")]).reason, "now");
  c.equal("of none", AbortSignal.any([]).aborted, false);
  c.throws("of others", TypeError, () => AbortSignal.any([{}] as any));
  const timed = AbortSignal.any([AbortSignal.timeout(1)]);
  await new Promise((resolve) => timed.addEventListener("abort", resolve));
  c.equal("of a timeout", timed.reason.name, "TimeoutError");
}

/** What a listener throws is reported, which ends a task unless it's handled; here it's seen that the others run. */
async function handlers(c: Checks): Promise<void> {
  const { signal } = new AbortController();
  const order: string[] = [];
  signal.onabort = () => void order.push("first");
  signal.addEventListener("abort", () => order.push("between"));
  signal.onabort = () => void order.push("replaced");
  signal.dispatchEvent(new Event("abort"));
  c.equal("a handler keeps its place", order.splice(0), ["replaced", "between"]);
  signal.onabort = null;
  signal.dispatchEvent(new Event("abort"));
  c.equal("no handler", order.splice(0), ["between"]);
  signal.onabort = (() => order.push("last")) as any;
  signal.dispatchEvent(new Event("abort"));
  c.equal("set anew", order.splice(0), ["between", "last"]);
  signal.onabort = 5 as any;
  c.equal("not a handler", signal.onabort, null);
  await pause();
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ events, targets, dispatching, aborting, anyOf, handlers }))
    await c.block(name, () => run(c));
  return c.failures;
});
