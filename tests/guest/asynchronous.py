"""asyncio in tasks."""

import asyncio

from capsule import TaskError, task


@task
async def child(x):
    await asyncio.sleep(0.001)
    return x * 2


@task
def plain(x):
    return x + 1


@task(max_retries=0)
async def failing():
    await asyncio.sleep(0)
    raise ValueError("from a coroutine")


@task
async def stuck():
    await asyncio.get_running_loop().create_future()


@task
async def many(n: int):
    return sum(await asyncio.gather(*(child(i) for i in range(n))))


async def caught():
    try:
        await failing()
    except TaskError as e:
        return [e.type, e.class_name, e.message]


@task
def runs_a_loop():
    async def f():
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            one = group.create_task(child(4))
            two = group.create_task(asyncio.sleep(0.001, "slept"))
        return [one.result(), two.result()]

    return asyncio.run(f())


async def producer(queue):
    for i in range(3):
        await queue.put(i)
        await asyncio.sleep(0)
    await queue.put(None)


@task
async def main():
    queue = asyncio.Queue(1)
    asyncio.create_task(producer(queue)).add_done_callback(lambda t: t.result())
    got = [x for x in [await queue.get() for _ in range(4)] if x is not None]
    return [
        await child(1),
        plain(1),
        await asyncio.gather(child(2), child(3)),
        await caught(),
        await many(10),
        runs_a_loop(),
        got,
    ]
