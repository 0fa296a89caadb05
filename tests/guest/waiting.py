"""Waiting: sleep() and wait_signal() for real. `main` and `signals` return what isn't as it should be.

`main` needs no signals and runs unrecorded; `signals` needs a recorded run and no one who answers; `answers` waits for
the signals that its test sends; `sleeper` is for tests that suspend it.
"""

import asyncio
import datetime
import time

import capsule
from capsule import SignalTimeout, TaskError, asleep, await_signal, sleep, task, wait_signal

UTC = datetime.timezone.utc


class Checks(list):
    def equal(self, what, actual, expected):
        if actual != expected:
            self.append(f"{what}: {actual!r} instead of {expected!r}")

    def raises(self, what, kind, call):
        self.equal(what, failure_of(call), kind.__name__)


def failure_of(call):
    try:
        return repr(call())
    except Exception as e:
        return type(e).__name__


async def afailure_of(awaitable):
    try:
        return await awaitable
    except (Exception, asyncio.CancelledError) as e:
        return type(e).__name__


def took(call):
    """Whether a call took at least 30 ms, by either clock."""
    begin, wall = time.monotonic(), time.time()
    call()
    return time.monotonic() - begin >= 0.03 and time.time() - wall >= 0.029


# --- sleep


@task
def blocking():
    c = Checks()
    for what, duration in {
        "a text": "30ms",
        "seconds": 0.03,
        "a timedelta": datetime.timedelta(milliseconds=30),
    }.items():
        c.equal(what, took(lambda d=duration: sleep(d)), True)
    c.equal("a moment", took(lambda: sleep(datetime.datetime.now(UTC) + datetime.timedelta(milliseconds=31))), True)
    begin = time.monotonic()
    sleep(datetime.datetime(2000, 1, 1, tzinfo=UTC))
    sleep(0)
    c.equal("what has passed", time.monotonic() - begin < 10, True)
    c.equal("what it returns", sleep("1ms"), None)
    for wrong in ("7", "7 days", "-1s", "", -1, float("nan"), "40000d", datetime.datetime(2030, 1, 1)):
        c.raises(f"sleep({wrong!r})", ValueError, lambda wrong=wrong: sleep(wrong))
    for wrong in (None, True, [1], b"1s"):
        c.raises(f"sleep({wrong!r})", TypeError, lambda wrong=wrong: sleep(wrong))
    return c


@task
async def awaited():
    c = Checks()
    order = []

    async def noted(name, duration):
        await asleep(duration)
        order.append(name)

    begin = time.monotonic()
    await asyncio.gather(noted("third", "90ms"), noted("first", 0.01), noted("second", "50ms"))
    c.equal("in the order of their ends", order, ["first", "second", "third"])
    await asyncio.gather(*(asleep("60ms") for _ in range(100)))
    c.equal("a hundred at once", time.monotonic() - begin < 6, True)

    ticks = 0

    async def ticking():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(ticking())
    await asleep("20ms")
    other.cancel()
    c.equal("others go on", ticks > 1, True)
    c.equal("beside asyncio's own", await asyncio.gather(asleep("10ms"), asyncio.sleep(0.01, "x")), [None, "x"])
    c.equal("blocking", await afailure_of(in_a_coroutine(lambda: sleep("7d"))), "RuntimeError")
    c.equal("blocking", await afailure_of(in_a_coroutine(lambda: wait_signal("x"))), "RuntimeError")
    return c


async def in_a_coroutine(call):
    return call()


@task
async def cancelled():
    c = Checks()
    c.equal("wait_for", await afailure_of(asyncio.wait_for(asleep("7d"), 0.01)), "TimeoutError")
    waiting = asyncio.create_task(asleep("7d"))
    await asyncio.sleep(0)
    waiting.cancel()
    c.equal("cancel()", await afailure_of(waiting), "CancelledError")
    before = asyncio.create_task(asleep("7d"))
    before.cancel()
    c.equal("before it began", await afailure_of(before), "CancelledError")
    done, rest = await asyncio.wait(
        [asyncio.create_task(asleep("7d")), asyncio.create_task(asleep("10ms"))], return_when=asyncio.FIRST_COMPLETED
    )
    c.equal("the first of two", (len(done), len(rest)), (1, 1))
    for one in rest:
        one.cancel()
    c.equal("the other", await afailure_of(rest.pop()), "CancelledError")
    try:
        async with asyncio.timeout(0.01):
            await asleep("7d")
    except TimeoutError:
        pass
    else:
        c.append("asyncio.timeout() let it through")
    for _ in range(200):  # replies of cancelled waits are taken: none stays open
        one = asyncio.create_task(asleep("7d"))
        await asyncio.sleep(0)
        one.cancel()
    return c


@task
def naps(seconds):
    sleep(seconds)
    return seconds


@task
async def anaps(seconds):
    await asleep(seconds)
    return seconds


@task
def in_tasks():
    c = Checks()
    c.equal("in parallel", list(naps.map([0.03, 0.02, 0.01])), [0.03, 0.02, 0.01])
    c.equal("async", list(anaps.map([0.03, 0.02, 0.01])), [0.03, 0.02, 0.01])
    begin = time.monotonic()
    c.equal("many", len(naps.map([0.5] * 200)), 200)
    c.equal("at the same time", time.monotonic() - begin < 30, True)
    slow = naps.start("7d")
    c.equal("cancelled", (slow.cancel(), failure_of(slow.result)), (True, "TaskError"))
    return c


@task(max_retries=0, timeout="50ms")
def too_slow():
    sleep("7d")


@task
def within_a_timeout():
    c = Checks()
    try:
        too_slow()
    except TaskError as e:
        c.equal("the task's timeout", e.type, "timeout")
    else:
        c.append("the task's timeout didn't end its sleep")
    return c


@task
def bad_signals():
    c = Checks()
    for wrong in ("", "x" * 129, "é" * 65, "\ud800", "a\0b"):
        c.raises(f"wait_signal({wrong!a})", ValueError, lambda wrong=wrong: wait_signal(wrong))
    for wrong in (None, 5, b"a"):
        c.raises(f"wait_signal({wrong!r})", TypeError, lambda wrong=wrong: wait_signal(wrong))
    c.raises("a timeout", ValueError, lambda: wait_signal("a", "soon"))
    c.raises("a timeout", TypeError, lambda: wait_signal("a", datetime.datetime.now(UTC)))
    return c


@task
def main():
    return (
        blocking() + asyncio.run(awaited()) + asyncio.run(cancelled()) + in_tasks() + within_a_timeout() + bad_signals()
    )


# --- signals: in a recorded run


@task(max_retries=5)
def lets_it_through():
    wait_signal("nobody", timeout="10ms")


@task
def signals():
    c = Checks()
    begin = time.monotonic()
    try:
        wait_signal("nobody", timeout="30ms")
    except SignalTimeout as e:
        c.equal("timeout", (e.name, str(e)), ("nobody", "no signal 'nobody' came within 30ms"))
    c.equal("in time", 0.03 <= time.monotonic() - begin < 10, True)
    c.raises("at once", SignalTimeout, lambda: wait_signal("nobody", 0))
    try:
        lets_it_through()
    except TaskError as e:
        seen = (e.type, e.class_name, e.execution["retries"])
        c.equal("not tried again", seen, ("task_error", "SignalTimeout", 0))
    return c + asyncio.run(asignals())


@task
async def asignals():
    c = Checks()
    outcomes = await asyncio.gather(
        afailure_of(await_signal("nobody", timeout="20ms")),
        afailure_of(await_signal("nobody", timeout=0)),
        afailure_of(asyncio.wait_for(await_signal("nobody"), 0.01)),
        afailure_of(asleep("10ms")),
    )
    c.equal("several at once", outcomes, ["SignalTimeout", "SignalTimeout", "TimeoutError", None])
    return c


@task
def refused():
    """In a run that isn't recorded: what wait_signal says."""
    try:
        wait_signal("go", timeout="1s")
    except TaskError as e:
        return [e.type, e.message]


@task
def refused_uncaught():
    wait_signal("go", timeout="1s")


@task
def answers(names):
    """The value of one signal for each name, one after the other."""
    return [wait_signal(name, timeout="50s") for name in names]


@task
async def aanswers(names):
    """The same at once: of one name, the first that waits gets the first signal."""
    return await asyncio.gather(*(await_signal(name, timeout="50s") for name in names))


@task
async def whichever(name):
    """A signal, or the end of a sleep."""
    waits = [asyncio.create_task(await_signal(name)), asyncio.create_task(asleep("50s"))]
    done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for one in rest:
        one.cancel()
    return [one.result() for one in done]


@task
async def reminded(name):
    """Gives up and waits anew, again and again: no signal is lost in between. `name` is sent 20 times."""
    seen = []
    while len(seen) < 20:
        try:
            seen.append(await asyncio.wait_for(await_signal(name), 0.001))
        except TimeoutError:
            continue
    return seen


@task
def child_waits(name):
    return answers([name])


# --- for tests that suspend it


@task
def sleeper(duration):
    """Between two clocks that are recorded."""
    begin = time.time()
    sleep(duration)
    return time.time() - begin


@task
def who():
    c = capsule.context()
    return [c.attempt, c.idempotency_key]
