"""Ordinary asyncio programs. They know nothing of Capsule: the test runs each in a sandbox and in plain Python.

A program is an `async def` that returns a JSON value.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import time

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@program
async def queues():
    results = []

    async def worker(queue):
        while True:
            item = await queue.get()
            await asyncio.sleep(0.001)
            results.append(item * item)
            queue.task_done()

    queue = asyncio.Queue(maxsize=3)
    workers = [asyncio.create_task(worker(queue)) for _ in range(4)]
    for i in range(20):
        await queue.put(i)
    await queue.join()
    for one in workers:
        one.cancel()
    ended = await asyncio.gather(*workers, return_exceptions=True)
    order = asyncio.PriorityQueue()
    stack = asyncio.LifoQueue()
    for i in (3, 1, 2):
        order.put_nowait(i)
        stack.put_nowait(i)
    with contextlib.suppress(asyncio.QueueEmpty):
        while True:
            results.append([order.get_nowait(), stack.get_nowait()])
    return [sorted(results[:20]), results[20:], [type(e).__name__ for e in ended]]


@program
async def locks():
    lock, log = asyncio.Lock(), []

    async def holder(name):
        async with lock:
            log.append(name)
            await asyncio.sleep(0.001)
            log.append(name)

    await asyncio.gather(*map(holder, "abc"))
    return [log, lock.locked()]


@program
async def events_and_conditions():
    event, condition, log = asyncio.Event(), asyncio.Condition(), []
    stock = []

    async def consumer(n):
        await event.wait()
        async with condition:
            await condition.wait_for(lambda: len(stock) >= n)
            log.append([n, len(stock) >= n])

    consumers = [asyncio.create_task(consumer(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    event.set()
    for i in range(3):
        await asyncio.sleep(0)
        async with condition:
            stock.append(i)
            condition.notify_all()
    await asyncio.gather(*consumers)
    return [sorted(log), event.is_set()]


@program
async def semaphores():
    semaphore, inside, most = asyncio.BoundedSemaphore(3), 0, 0

    async def one():
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(10)))
    try:
        semaphore.release()
        over = None
    except ValueError as e:
        over = str(e)
    return [most, inside, over]


@program
async def barriers():
    barrier, log = asyncio.Barrier(3), []

    async def party(i):
        for _ in range(2):
            await asyncio.sleep(0.001 * i)
            async with barrier as position:
                log.append(position)

    await asyncio.gather(*map(party, range(3)))
    return [sorted(log), barrier.n_waiting]


@program
async def task_groups():
    log = []

    async def fails(e):
        await asyncio.sleep(0.001)
        raise e

    async def long():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0.001, i)) for i in range(3)]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(ValueError("one")))
            group.create_task(fails(KeyError("two")))
            group.create_task(long())
    except ExceptionGroup as e:  # noqa: F821
        log += [repr(x) for x in e.exceptions]
    return [[t.result() for t in tasks], log]


@program
async def timeouts():
    log = []
    try:
        async with asyncio.timeout(0.002):
            await asyncio.sleep(1000)
    except TimeoutError:
        log.append("timeout")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.002)
    except TimeoutError:
        log.append("wait_for")
    async with asyncio.timeout(1000) as never:
        await asyncio.sleep(0.001)
    async with asyncio.timeout(None) as later:
        later.reschedule(asyncio.get_running_loop().time() + 1000)
    return [log, never.expired(), await asyncio.wait_for(asyncio.sleep(0, "in time"), 1000)]


@program
async def completion():
    async def after(seconds):
        await asyncio.sleep(seconds)
        return seconds

    order = [await one for one in asyncio.as_completed([after(0.03), after(0.001), after(0.015)])]
    tasks = [asyncio.create_task(after(s)) for s in (0.001, 1000)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for one in pending:
        one.cancel()
    await asyncio.wait(pending)
    return [order, [t.result() for t in done], [t.cancelled() for t in pending]]


@program
async def gathering():
    async def fails():
        raise ValueError("no")

    both = await asyncio.gather(fails(), asyncio.sleep(0.001, 1), return_exceptions=True)
    other = asyncio.create_task(asyncio.sleep(0.005, "runs on"))
    try:
        await asyncio.gather(other, fails())
        first = None
    except ValueError as e:
        first = str(e)
    return [[repr(b) for b in both], first, await other]


@program
async def shielding():
    go_on = asyncio.Event()

    async def important():
        await go_on.wait()
        return "saved"

    inner = asyncio.create_task(important())
    try:
        await asyncio.wait_for(asyncio.shield(inner), 0.001)
    except TimeoutError:
        before = inner.done()
        go_on.set()
        return [before, await inner]


@program
async def cancelling():
    log = []

    async def stubborn():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            log.append("first")
        await asyncio.sleep(0.001)
        return "went on"

    async def with_cleanup():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.001)
            log.append("cleaned")

    one, two = asyncio.create_task(stubborn()), asyncio.create_task(with_cleanup())
    await asyncio.sleep(0)
    one.cancel()
    two.cancel("why")
    return [await one, [repr(e) for e in await asyncio.gather(two, return_exceptions=True)], log, one.cancelling()]


@program
async def callbacks():
    loop, log = asyncio.get_running_loop(), []
    now = loop.time()
    loop.call_at(now + 0.006, log.append, "third")
    loop.call_at(now + 0.003, log.append, "second")
    loop.call_later(1000, log.append, "never").cancel()
    loop.call_soon(log.append, "first")
    loop.call_soon_threadsafe(log.append, "safe")
    caught = []
    loop.set_exception_handler(lambda loop, context: caught.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.02)
    loop.set_exception_handler(None)
    return [log, caught]


@program
async def futures():
    loop = asyncio.get_running_loop()
    future, log = loop.create_future(), []
    future.add_done_callback(lambda f: log.append(f.result()))
    loop.call_later(0.001, future.set_result, "value")
    return [await future, log, future.done()]


@program
async def eager():
    log = []

    async def at_once(i):
        log.append(i)
        return i

    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    task = asyncio.create_task(at_once(1))
    log.append("created")
    asyncio.get_running_loop().set_task_factory(None)
    return [await task, log]


variable = contextvars.ContextVar("variable", default="none")


@program
async def context_variables():
    async def child():
        before = variable.get()
        variable.set("child's")
        await asyncio.sleep(0)
        return [before, variable.get()]

    variable.set("parent's")
    inside = await asyncio.create_task(child())
    copied = contextvars.copy_context()
    copied.run(variable.set, "copied")
    other = await asyncio.get_running_loop().create_task(child(), context=copied)
    return [inside, variable.get(), other, copied[variable]]


@program
async def generators():
    log = []

    async def numbers():
        try:
            for i in range(100):
                await asyncio.sleep(0)
                yield i
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async for i in numbers():
        if i == 3:
            break
    async with contextlib.aclosing(numbers()) as several:
        first = [await anext(several), await anext(several)]
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.sleep, 0)
    await asyncio.sleep(0.001)
    return [first, log[:1], [i async for i in numbers() if i % 50 == 0]]


@program
async def functions_in_threads():
    def work(x):
        time.sleep(0.001)
        return [x, variable.get()]

    variable.set("carried")

    def fails():
        raise ValueError("from a function")

    loop = asyncio.get_running_loop()
    outcomes = await asyncio.gather(
        asyncio.to_thread(work, 1),
        loop.run_in_executor(None, lambda: 2),
        asyncio.to_thread(fails),
        return_exceptions=True,
    )
    return [repr(o) for o in outcomes]


@program
async def pipelines():
    """Stages that feed one another by queues, with a sentinel at the end."""
    first, second = asyncio.Queue(2), asyncio.Queue(2)

    async def stage(source, target, function):
        while (item := await source.get()) is not None:
            await target.put(function(item))
        await target.put(None)

    async def feed():
        for i in range(10):
            await first.put(i)
        await first.put(None)

    third = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        group.create_task(stage(first, second, lambda x: x + 1))
        group.create_task(stage(second, third, lambda x: x * 10))
    return [third.get_nowait() for _ in range(third.qsize())]


@program
async def introspection():
    async def waits():
        await asyncio.sleep(0.001)

    task = asyncio.create_task(waits(), name="mine")
    all_of_them = asyncio.all_tasks()
    names = [task.get_name(), task in all_of_them, asyncio.current_task() in all_of_them]
    await task
    return [names, task.done(), task.exception(), len(asyncio.all_tasks() - all_of_them)]


def run_until_complete():
    async def f():
        await asyncio.sleep(0.001)
        return "done"

    loop = asyncio.new_event_loop()
    try:
        return [loop.run_until_complete(f()), loop.is_running(), loop.is_closed()]
    finally:
        loop.close()


def runners():
    log = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            log.append("left")

    async def first():
        keep.append(asyncio.create_task(left()))
        variable.set("kept by the runner")
        await asyncio.sleep(0)
        return "first"

    async def second():
        return variable.get()

    keep = []
    with asyncio.Runner() as runner:
        log.append(runner.run(first()))
        log.append(runner.run(second()))
    return log


def kinds_of_loops():
    async def which():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)
        return isinstance(loop, asyncio.SelectorEventLoop)

    results = []
    for make in (asyncio.new_event_loop, asyncio.SelectorEventLoop, asyncio.EventLoop):
        with asyncio.Runner(loop_factory=make) as runner:
            results.append(runner.run(which()))
    asyncio.set_event_loop_policy(None)
    results.append(asyncio.run(which(), debug=True))
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    return [*results, asyncio.run(which())]


def own_executors():
    async def use():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(2))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            both = [loop.run_in_executor(pool, pow, 2, 3), loop.run_in_executor(None, pow, 3, 2)]
            return await asyncio.gather(*both)

    return asyncio.run(use())


def misuse():
    """Errors are asyncio's own."""

    async def nothing():
        return 1

    async def nested():
        inner = nothing()
        try:
            asyncio.run(inner)
        except RuntimeError as e:
            return str(e)
        finally:
            inner.close()

    texts = [asyncio.run(nested())]
    closed = asyncio.new_event_loop()
    closed.close()
    coroutine = nothing()
    for use in (
        lambda: asyncio.get_running_loop(),
        lambda: closed.run_until_complete(coroutine),
        lambda: asyncio.run(3),
    ):
        try:
            use()
            texts.append(None)
        except (RuntimeError, ValueError, TypeError) as e:
            texts.append(f"{type(e).__name__}: {e}")
    coroutine.close()

    async def twice():
        again = nothing()
        await again
        await again

    try:
        asyncio.run(twice())
    except RuntimeError as e:
        texts.append(str(e))
    return texts


def run_all():
    """{name: result} of every program, each in a loop of its own."""
    results = {name: asyncio.run(function()) for name, function in PROGRAMS.items()}
    for function in (run_until_complete, runners, kinds_of_loops, own_executors, misuse):
        results[function.__name__] = function()
    return results


try:
    from capsule import task
except ImportError:  # plain Python
    pass
else:

    @task
    def main():
        return run_all()

    @task
    async def one(name):
        return await PROGRAMS[name]()

    @task
    def on_loops_of_tasks():
        return dict(zip(PROGRAMS, one.map(PROGRAMS), strict=True))
