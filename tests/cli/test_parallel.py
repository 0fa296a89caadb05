"""Tasks beside one another, in programs that users write: what starts, what is cancelled, what is left."""

import json
import re

import pytest

IMPORTS = "import asyncio; from capsule import TaskError, task; "

SLEEPER = """
@task(allowed_files=["./out"], max_retries=0)
def sleeper(seconds, name="late"):
    time.sleep(seconds)
    with open(f"out/{name}", "w") as f:
        f.write(name)
    return name

@task(max_retries=0)
def fails():
    raise ValueError("on purpose")
"""


@pytest.fixture
def run(capsule, program, tmp_path):
    """run(code) -> (result, states of its tasks by name, in the order in which they ended); out/ is there for it."""

    def call(code, *arguments, **keywords):
        (tmp_path / "out").mkdir(exist_ok=True)
        file = program(code, imports=IMPORTS)
        done = capsule("run", file, "--verbose", *arguments, **keywords)
        ends = re.findall(
            r"^ *[\d.]+ m?s  #\d+ (\w+)  (completed|failed|timed_out|cancelled)\b(?!.*next attempt)", done.stderr, re.M
        )
        return done, ends

    return call


def result_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MEETING = """
@task(allowed_files=["./out"])
def meets(names):
    mine, other = names
    open(f"out/{mine}", "w").close()
    while not os.path.exists(f"out/{other}"):
        time.sleep(0.001)
    return mine

@task(allowed_files=["./out"])
async def ameets(names):
    return meets.__wrapped__(names)
"""


@pytest.mark.parametrize(
    "body",
    [
        "def main(): return list(meets.map([('a', 'b'), ('b', 'a')]))",
        "def main(): return list(ameets.map([('a', 'b'), ('b', 'a')], concurrency=2))",
        "def main(): a, b = meets.start(('a', 'b')), meets.start(('b', 'a')); return [a.result(), b.result()]",
        "async def main(): return await asyncio.gather(ameets(('a', 'b')), ameets(('b', 'a')))",
        "async def main(): return await asyncio.gather(meets.start(('a', 'b')), ameets.start(('b', 'a')))",
        "async def main(): return await meets.map([('a', 'b'), ('b', 'a')])",
    ],
)
def test_independent_tasks_run_at_the_same_time(run, body):
    """Each waits for a file that the other one writes."""
    done, _ = run(MEETING + f"\n@task(timeout='50s')\n{body}")
    assert result_of(done) == ["a", "b"]


def test_a_bound_of_one_is_one_after_the_other(run):
    code = """
    @task(allowed_files=["./out"])
    def alone(i):
        os.mkdir("out/lock")
        time.sleep(0.001)
        os.rmdir("out/lock")
        return i

    @task
    def main():
        return alone.map(range(20), concurrency=1)
    """
    done, ends = run(code)
    assert result_of(done) == list(range(20))
    assert len(ends) == 21


def test_wait_for_cancels_the_task(run, tmp_path):
    code = """
    @task
    async def main():
        try:
            await asyncio.wait_for(sleeper.start(3600), 0.05)
        except TimeoutError:
            return "in time"
    """
    done, ends = run(SLEEPER + code.replace("\n    ", "\n"))
    assert done.stdout == "in time\n"
    assert ends == [("sleeper", "cancelled"), ("main", "completed")]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        "async with asyncio.TaskGroup() as g: g.create_task(sleeper.start(3600)); g.create_task(fails.start())",
        "await sleeper.start(0, 'first'); await asyncio.wait_for(never(), 0.05)",
    ],
)
def test_structured_ends(run, tmp_path, body):
    code = f"""
@task
async def never():
    sleeper(3600, "never")

@task(max_retries=0)
async def main():
    try:
        {body}
    except* (TaskError, TimeoutError) as e:
        print([type(x).__name__ for x in e.exceptions])
    return 1
"""
    done, ends = run(SLEEPER + code)
    assert done.returncode == 0, done.stderr
    assert ("sleeper", "cancelled") in ends
    assert ends[-1] == ("main", "completed")
    assert {f.name for f in (tmp_path / "out").iterdir()} <= {"first"}


def test_the_first_failure_of_a_map_ends_it(run, tmp_path):
    code = """
@task(max_retries=0)
def item(i):
    return fails() if i == 3 else sleeper(3600, str(i))

@task(max_retries=0)
def main():
    item.map(range(10))
"""
    done, ends = run(SLEEPER + code)
    assert done.returncode == 1
    assert "ValueError: on purpose" in done.stderr
    assert 'main.py", line' in done.stderr
    assert "Inside task 'fails'" in done.stderr
    assert ends.count(("item", "failed")) == 1
    assert ends.count(("item", "cancelled")) == 9
    assert ends[-1] == ("main", "failed")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("decorator", "end", "state"),
    [
        ("@task", "return 'bye'", "completed"),
        ("@task(max_retries=0)", "raise ValueError('no')", "failed"),
        ("@task(max_retries=0, timeout='300ms')", "time.sleep(3600)", "timed_out"),
        ("@task(max_retries=0, compute=100_000_000)", "while True: pass", "failed"),
        ("@task(max_retries=0)", "os._exit(1)", "failed"),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_tasks_end_before_the_one_that_started_them(run, tmp_path, decorator, end, state, kind):
    code = f"""
@task(max_retries=0)
def parent():
    sleeper.start(3600)
    sleeper(3600)

{decorator}
{kind} main():
    for _ in range(3):
        parent.start()
        sleeper.start(3600)
    time.sleep(0.1)
    {end}
"""
    done, ends = run(SLEEPER + code)
    assert done.returncode == {"completed": 0, "timed_out": 124, "failed": 1}[state]
    assert ends[-1] == ("main", state)
    assert len(ends) >= 7
    assert {e for _, e in ends[:-1]} == {"cancelled"}
    assert list((tmp_path / "out").iterdir()) == []


def test_a_task_that_is_cancelled_between_attempts(run):
    code = """
    @task(max_retries=1000)
    def again():
        raise ValueError("again")

    @task
    def main():
        handle = again.start()
        time.sleep(0.5)
        handle.cancel()
        try:
            handle.result()
        except TaskError as e:
            return [e.type, e.execution["retries"] > 0, e.execution["task_name"]]
    """
    done, ends = run(code)
    assert result_of(done) == ["cancelled", True, "again"]
    assert ends[-2:] == [("again", "cancelled"), ("main", "completed")]


def test_every_third_of_many_fails(run):
    code = """
    @task(max_retries=0)
    def third(i):
        if i % 3 == 0:
            raise ValueError(i)
        return i

    @task
    def main():
        results = third.map(range(10_000), return_exceptions=True)
        return [sum(isinstance(r, TaskError) for r in results), sum(r for r in results if isinstance(r, int))]
    """
    done, ends = run(code)
    assert result_of(done) == [3334, sum(i for i in range(10_000) if i % 3)]
    assert ends.count(("third", "failed")) == 3334
    assert ends.count(("third", "completed")) == 6666


def test_sleeping_in_a_task_parks_it(run):
    """On one thread: what sleeps doesn't hold it."""
    code = """
    @task
    def sleeps(i):
        time.sleep(0.5)
        return i

    @task
    def main():
        begin = time.monotonic()
        sleeps.map(range(200))
        return time.monotonic() - begin
    """
    done, _ = run(code, "--jobs", "1")
    assert 0.5 <= result_of(done) < 5


def test_results_are_results(run):
    """What a map gives is what a task may return, whole or as a part."""
    code = """
    @task
    def double(x):
        return 2 * x

    @task
    async def main():
        return {"whole": double.map([1, 2]), "awaited": await double.map([3]), "first": double.map([4])[0]}
    """
    done, _ = run(code)
    assert result_of(done) == {"whole": [2, 4], "awaited": [6], "first": 8}


def test_more_calls_than_operations(run):
    """A sandbox may have 16,384 operations open; coroutines beyond that wait for their turn."""
    done, _ = run(
        """
        @task
        async def one(i):
            return i

        @task(compute="HIGH")
        async def main(n):
            called = await asyncio.gather(*(one(i) for i in range(n)))
            started = await asyncio.gather(*(one.start(i) for i in range(n)))
            return [called == started == list(range(n))]
        """,
        "17000",
    )
    assert result_of(done) == [True]
