"""Tasks beside one another: start(), map(), handles, cancellation."""

import asyncio
import datetime
import itertools
import time

from capsule import NonRetryable, TaskError, task


@task
def double(x):
    return 2 * x


@task
async def adouble(x):
    await asyncio.sleep(0)
    return 2 * x


@task
def add(x, y=100):
    return x + y


@task
def echo(value):
    return value


@task(max_retries=0)
def third_fails(i):
    if i % 3 == 0:
        raise ValueError(i)
    return i


@task
def sleep(seconds, value=None):
    time.sleep(seconds)
    return value


@task
def sleep_list(args):
    time.sleep(args[0])
    return args[1]


@task(max_retries=0)
def fail_after(seconds):
    time.sleep(seconds)
    raise NonRetryable("on purpose")


@task(max_retries=1000)
def retried_for_ever():
    raise ValueError("again")


def outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except TaskError as e:
        return [e.type, e.class_name, e.message, e.task_name]
    except Exception as e:
        return [type(e).__name__, str(e)]


async def aoutcome(awaitable):
    try:
        return await awaitable
    except TaskError as e:
        return e.type
    except (Exception, asyncio.CancelledError) as e:
        return type(e).__name__


# --- handles


@task
def handles():
    """start(), result(), done(), cancel() in a `def` task."""
    results = {}
    one, other = double.start(4), adouble.start(5)
    results["results"] = [one.result(), other.result(), one.result(), one.done(), one.task_name, one.cancel()]
    results["keywords"] = add.start(1, y=2).result()
    slow = sleep.start(1000)
    results["timeout"] = outcome(slow.result, 0.001)
    results["running"] = [slow.done(), outcome(slow.result, 0), repr(slow)]
    results["cancel"] = [slow.cancel(), outcome(slow.result), outcome(slow.result), slow.done(), slow.cancel()]
    results["cancelled"] = repr(slow)
    failed = third_fails.start(3)
    results["failed"] = [outcome(failed.result), outcome(failed.result), failed.done(), failed.cancel()]
    results["arguments"] = [outcome(double.start, object()), outcome(double.start(1, 2).result)[0]]
    again = retried_for_ever.start()
    time.sleep(0.3)  # between two attempts
    results["cancelled while retried"] = [again.cancel(), outcome(again.result)[0]]
    results["run by a loop later"] = asyncio.run(aoutcome(one))
    return results


@task
async def awaited():
    """Handles where asyncio takes coroutines."""
    results = {}
    results["await"] = [await double.start(1), await adouble.start(2)]
    one = double.start(3)
    results["await twice"] = [await one, await one, one.result()]
    results["gather"] = await asyncio.gather(double.start(1), adouble(2), asyncio.sleep(0, 3), one, one)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double.start(1)), group.create_task(adouble.start(2)), group.create_task(adouble(3))]
    results["group"] = [t.result() for t in tasks]
    results["as_completed"] = sorted([await x for x in asyncio.as_completed([double.start(i) for i in range(5)])])
    slowest_first = [sleep.start(0.2, "slow"), sleep.start(0.001, "quick")]
    results["in the order of completion"] = [await x for x in asyncio.as_completed(slowest_first)]
    done, _ = await asyncio.wait([asyncio.create_task(double.start(i)) for i in range(3)])
    results["wait"] = sorted(t.result() for t in done)
    results["wait_for"] = await asyncio.wait_for(double.start(8), 1000)
    results["two tasks, one handle"] = await two_tasks_one_handle()
    results["blocking in a coroutine"] = [double(1), double.start(2).result(), list(double.map([3]))]
    results["failure"] = await aoutcome(third_fails.start(0))
    shown = asyncio.create_task(double.start(1))
    results["repr"] = ["coro=" in repr(shown), "double" in repr(double.start(1)), await shown]
    return results


async def two_tasks_one_handle():
    handle = sleep.start(0.01, "x")
    return await asyncio.gather(asyncio.create_task(handle), asyncio.create_task(handle), handle)


@task
async def cancelled():
    """Cancelling what awaits a handle cancels the task."""
    results = {}
    slow = sleep.start(1000)
    results["wait_for"] = [await aoutcome(asyncio.wait_for(slow, 0.001)), await aoutcome(slow), slow.done()]
    slow = sleep.start(1000)
    waiting = asyncio.create_task(aoutcome(slow))
    await asyncio.sleep(0)
    waiting.cancel()
    results["task"] = [await aoutcome(waiting), await aoutcome(slow)]
    slow = sleep.start(1000)
    direct = asyncio.create_task(slow)
    await asyncio.sleep(0)
    direct.cancel()
    results["create_task"] = [await aoutcome(direct), await aoutcome(slow)]
    slow = sleep.start(1000)
    before = asyncio.create_task(slow)
    before.cancel()  # before its first step
    results["before it awaits"] = [await aoutcome(before), slow.done() or slow.cancel()]
    slow = sleep.start(0.05, "saved")
    results["shield"] = [await aoutcome(asyncio.wait_for(asyncio.shield(slow), 0.001)), await slow]
    slow = sleep.start(1000)
    first, second = (asyncio.create_task(aoutcome(slow)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    results["another waits, too"] = [await aoutcome(first), await second]
    slow = sleep.start(1000)
    asyncio.get_running_loop().call_later(0.001, slow.cancel)
    results["by another coroutine"] = await aoutcome(slow)
    results["group"] = await cancelled_by_a_group()
    coroutine = adouble(1)
    coroutine.close()
    results["plain call"] = await aoutcome(asyncio.wait_for(never(), 0.001))
    results["reply in time"] = await reply_and_cancellation_at_once()
    return results


@task
async def never():
    await asyncio.sleep(1000)


async def cancelled_by_a_group():
    slow = sleep.start(1000)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(slow)
            group.create_task(third_fails.start(0))
    except ExceptionGroup as e:  # noqa: F821
        return [[x.type for x in e.exceptions], await aoutcome(slow)]


async def reply_and_cancellation_at_once():
    """A coroutine that is cancelled when the reply has just come: nothing is left behind."""
    handle = double.start(1)
    waiting = asyncio.create_task(handle)
    await asyncio.sleep(0)
    handle.result()  # blocks: now it's done, and `waiting` hasn't run yet
    waiting.cancel()
    return [await aoutcome(waiting), await aoutcome(handle)]


# --- map


@task
def maps():
    """map() in a `def` task."""
    results = {}
    numbers = double.map(range(5))
    results["sequence"] = [numbers, len(numbers), numbers[1], numbers[1:3], list(numbers), list(numbers), 4 in numbers]
    results["equal"] = [numbers == [0, 2, 4, 6, 8], numbers == [], repr(numbers)]
    results["result"] = [double.map([1]).result(), adouble.map([1, 2]).result(timeout=1000)]
    results["none"] = [list(double.map([])), len(double.map([]))]
    results["tuples"] = [list(echo.map([(1, 2), (3,)])), list(add.starmap([(1, 2), (3,)])), list(echo.map("ab"))]
    results["order"] = list(sleep_list.map([[0.05, "a"], [0.001, "b"], [0.02, "c"]]))
    results["a slow one"] = outcome(lambda: sleep_list.map(iter([[0.2, 1]])).result(0.001))
    results["bounded"] = list(double.map(range(50), concurrency=3))
    results["wrong bound"] = [outcome(double.map, [1], concurrency=0), outcome(double.map, 3)]
    results["as an argument"] = echo(double.map([1, 2]))
    return results


@task
async def amaps():
    """map() in a coroutine."""
    results = {}
    results["await"] = [await double.map(range(3)), await adouble.map(iter(range(3))), await double.map([])]
    results["gather"] = await asyncio.gather(double.map([1]), add.starmap([[1, 1]]))
    results["async for"] = [x async for x in double.map(range(5), concurrency=2)]
    some = double.map([1, 2])
    results["twice"] = [await some, await some, list(some), [x async for x in some]]
    results["sync in a coroutine"] = [list(double.map([1, 2])), len(double.map([1]))]
    results["not awaited"] = double.map([7])
    slow = sleep.map([1000] * 5)
    results["wait_for"] = [await aoutcome(asyncio.wait_for(slow, 0.001)), await aoutcome(slow)]
    slow = sleep.map([1000] * 5)
    results["cancel"] = [slow.done(), slow.cancel(), await aoutcome(slow), slow.cancel(), slow.done()]
    others = []
    ticking = asyncio.create_task(tick(others))
    await sleep.map([0.05, 0.05])
    ticking.cancel()
    results["other coroutines run"] = len(others) > 1
    return results


async def tick(ticks):
    while True:
        ticks.append(1)
        await asyncio.sleep(0.001)


@task
def failing_maps():
    results = {}
    results["first failure"] = outcome(third_fails.map, [1, 2, 3, 4])
    some = third_fails.map(range(4), return_exceptions=True)
    results["exceptions"] = [[type(x).__name__, x.message] if isinstance(x, TaskError) else x for x in some]

    started = []

    def items(n, e):
        for i in range(n):
            started.append(i)
            yield i
        raise e

    results["iterator fails"] = [
        outcome(lambda: list(double.map(items(3, KeyError("k"))))),
        outcome(lambda: list(double.map(items(3, KeyError("k")), return_exceptions=True))),
    ]
    values = [1, object(), 3]
    results["argument can't cross"] = outcome(echo.map, values)
    kept = echo.map(values, return_exceptions=True)
    results["it is kept"] = [kept[0], kept[1].type, kept[2]]
    results["starmap"] = [outcome(add.starmap, [[1, 2], 3]), outcome(add.starmap, [[1, 2, 3]])[0]]
    return results


@task
def failure_ends_the_others():
    """The others have ended when the failure is seen; they would take an hour."""
    begin = time.monotonic()
    what = outcome(fail_after_or_sleep.map, [3600] * 20 + [0] + [3600] * 20)
    return [what, time.monotonic() - begin < 1000]


@task(max_retries=0)
def fail_after_or_sleep(seconds):
    if not seconds:
        raise NonRetryable("on purpose")
    time.sleep(seconds)


@task
def lazily():
    """An iterator's items are taken as the results are."""
    taken = []

    def numbers():
        for i in itertools.count():
            taken.append(i)
            yield i

    results = double.map(numbers(), concurrency=4)
    first = list(itertools.islice(results, 10))
    begun = len(taken)
    more = [x for x, _ in zip(results, range(3), strict=False)]
    refused = outcome(results.result)
    results.cancel()
    pairs = [[x, y] for x, y in zip("abc", double.map(iter([1, 2, 3])), strict=True)]
    rest = double.map(iter(range(4)))
    head = next(iter(rest))
    return [first, 10 <= begun < 3000, more, refused, pairs, head, list(rest), outcome(lambda: len(rest))]


@task
def dropped():
    """Results that nobody takes are cancelled, and it's said."""
    double.map(iter([1, 2]))
    return "returned"


@task
def nested(depth):
    return 1 if depth == 0 else sum(nested.map([depth - 1] * 3))


@task
def pipeline():
    """A map over the results of another one, both lazy."""
    return list(double.map(iter(double.map(iter(range(20)), concurrency=3)), concurrency=3))


@task(max_retries=0)
def deeper(n):
    return deeper.start(n + 1).result()


@task
def depth():
    try:
        deeper(1)
    except TaskError as e:
        return [e.type, e.class_name, str(e).count("task 'deeper' failed"), "deep" in str(e)]


# --- values


@task
def values():
    moment = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    some = [b"\0\xff", moment, {1, 2}, {"$bytes": "no bytes"}, "é\U0001f600", None, 2**80]
    big = "x" * 5_000_000
    return [
        list(echo.map(some)) == some,
        [echo.start(v).result() for v in some] == some,
        [len(v) for v in echo.map([big] * 3)],
        echo.start([big, b"x" * 3_000_000]).result() == [big, b"x" * 3_000_000],
    ]


# --- what all this stands on


@task
def host_functions():
    import _capsule

    results = [_capsule.next(0), _capsule.next(1_000_000)]
    handle = double.start(1)
    while not handle.done():
        pass
    for use in (
        lambda: _capsule.next("soon"),
        lambda: _capsule.cancel(-1),
        lambda: _capsule.cancel(123_456),
        lambda: _capsule.cancel(handle._op),
    ):
        try:
            results.append(use())
        except (TypeError, OverflowError, LookupError) as e:
            results.append(type(e).__name__)
    return results


# --- many


@task
def many(n):
    return sum(double.map(range(n)))


@task
async def many_started(n):
    return sum(await asyncio.gather(*(double.start(i) for i in range(n))))


@task
def many_fail(n):
    some = third_fails.map(range(n), return_exceptions=True)
    failed = [i for i, x in enumerate(some) if isinstance(x, TaskError)]
    return [failed == list(range(0, n, 3)), all(x == i for i, x in enumerate(some) if i % 3)]


@task
def many_sleep(n):
    """How many times as long as one of them all together take."""
    begin = time.monotonic()
    sleep.map([1] * n)
    return time.monotonic() - begin


@task
async def many_cancelled(n):
    """More than a sandbox may have open, one after the other: replies of cancelled tasks are taken."""
    for _ in range(n):
        waiting = asyncio.create_task(sleep.start(1000))
        await asyncio.sleep(0)
        waiting.cancel()
        await aoutcome(waiting)
    return double(1)


@task
def forgets():
    """Handles that nobody waits for: their tasks end with this one."""
    for _ in range(20):
        sleep.start(3600)
    return "returned"


@task
async def leaves_coroutines():
    kept.append(asyncio.create_task(sleep.start(3600)))
    await asyncio.sleep(0.001)
    return "returned"


kept = []
