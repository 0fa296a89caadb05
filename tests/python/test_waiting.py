"""sleep() and wait_signal(): what the host is asked inside a sandbox, with a fake host, and what they are outside."""

import asyncio
import datetime
import time

import capsule
import pytest
from capsule import SignalTimeout, asleep, await_signal, sleep, wait_signal

UTC = datetime.timezone.utc
DONE = [{"ok": True}, None]
TIMED_OUT = [{"ok": False, "error": {"type": "timeout", "message": "no signal came in time"}}, None]
NOT_RECORDED = [{"ok": False, "error": {"type": "policy", "message": "this run isn't recorded"}}, None]
CANCELLED = [{"ok": False, "error": {"type": "cancelled", "message": "cancelled"}}, None]

HEAD = """
import asyncio, capsule, datetime
from capsule import SignalTimeout, TaskError, asleep, await_signal, sleep, task, wait_signal
"""


def answer_of(sandbox, source, *replies, **keywords):
    answer = sandbox(HEAD + source, {"task": "t"}, replies=replies, **keywords)
    assert answer["load"]["ok"], answer["load"]
    reply = answer["calls"][0]
    return (reply["body"] if reply["header"]["ok"] else reply["header"]["error"]), answer


def asked_for(sandbox, expression, *replies):
    """The header that this expression, in a `def` task, submits."""
    result, answer = answer_of(sandbox, f"@task\ndef t():\n    {expression}\n", *replies)
    assert result is None, result
    ((header, body),) = answer["submitted"]
    assert body == ""
    return header


# --- durations


ASKED = [
    ("0", {"duration_ns": 0}),
    ("3", {"duration_ns": 3 * 10**9}),
    ("0.25", {"duration_ns": 250_000_000}),
    ("1e-9", {"duration_ns": 1}),
    ("'500ms'", {"duration_ns": 500_000_000}),
    ("'30s'", {"duration_ns": 30 * 10**9}),
    ("'30 S'", {"duration_ns": 30 * 10**9}),
    ("'5m'", {"duration_ns": 300 * 10**9}),
    ("'1.5h'", {"duration_ns": 5400 * 10**9}),
    ("'7d'", {"duration_ns": 7 * 86400 * 10**9}),
    ("'36500d'", {"duration_ns": 36500 * 86400 * 10**9}),
    ("'10us'", {"duration_ns": 10_000}),
    ("'1.0000000000000000000001s'", {"duration_ns": 10**9}),
    ("datetime.timedelta(days=7, microseconds=1)", {"duration_ns": 7 * 86400 * 10**9 + 1000}),
    ("datetime.datetime(2030, 1, 31, 9, 30, 0, 123456, datetime.timezone.utc)", {"until_ns": 1896082200123456000}),
    (
        "datetime.datetime(2030, 1, 31, 10, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))",
        {"until_ns": 1896082200000000000},
    ),
    ("datetime.datetime(1960, 1, 1, tzinfo=datetime.timezone.utc)", {"until_ns": 0}),
]


def test_what_the_host_is_asked(sandbox):
    calls = "".join(f"    sleep({value})\n" for value, _ in ASKED)
    result, answer = answer_of(sandbox, f"@task\ndef t():\n{calls}", *[DONE] * len(ASKED))
    assert result is None, result
    assert answer["submitted"] == [[{"op": "sleep", **asked}, ""] for _, asked in ASKED]


WRONG = [
    (
        lambda: sleep("7"),
        ValueError,
        r"^sleep\(\): '7' isn't a duration; write .*\"7d\".* or a datetime with a time zone$",
    ),
    (lambda: sleep("7 days"), ValueError, "isn't a duration"),
    (lambda: sleep("٣s"), ValueError, "isn't a duration"),
    (lambda: sleep("1" * 100_000 + "s"), ValueError, "1…"),
    (lambda: sleep(""), ValueError, "'' isn't a duration"),
    (lambda: sleep("-1s"), ValueError, "isn't a duration"),
    (lambda: sleep(-0.5), ValueError, "-0.5 is negative"),
    (lambda: sleep(-(10**5000)), ValueError, "the number is negative"),
    (lambda: sleep(datetime.timedelta(seconds=-1)), ValueError, "is negative"),
    (lambda: sleep(float("nan")), ValueError, "nan isn't a duration"),
    (lambda: sleep(float("inf")), ValueError, "inf isn't a duration"),
    (lambda: sleep(1e308), ValueError, "isn't a duration"),
    (lambda: sleep("36501d"), ValueError, "'36501d' is more than the maximum, 36500 days"),
    (lambda: sleep(datetime.datetime(2030, 1, 1)), ValueError, "has no time zone.*timezone.utc"),
    (lambda: sleep(datetime.datetime(2300, 1, 1, tzinfo=UTC)), ValueError, "beyond the year 2261"),
    (lambda: sleep(None), TypeError, "can't be a NoneType; write a number of seconds"),
    (lambda: sleep(True), TypeError, "can't be a bool"),
    (lambda: sleep(datetime.date(2030, 1, 1)), TypeError, "can't be a date"),
    (lambda: asyncio.run(asleep("soon")), ValueError, r"^asleep\(\): 'soon'"),
    (
        lambda: wait_signal("a", timeout="soon"),
        ValueError,
        r"^wait_signal\(\): timeout: 'soon'.* or a datetime.timedelta$",
    ),
    (lambda: wait_signal("a", datetime.datetime(2030, 1, 1, tzinfo=UTC)), TypeError, "can't be a datetime"),
    (lambda: wait_signal(""), ValueError, "1 to 128 bytes, this one has 0"),
    (lambda: wait_signal("é" * 65), ValueError, "this one has 130"),
    (lambda: wait_signal("\ud800"), ValueError, r"'\\ud800' isn't a signal's name"),
    (lambda: wait_signal("a\0b"), ValueError, "can't contain a NUL"),
    (lambda: wait_signal(b"a"), TypeError, "a string, not a bytes"),
    (lambda: asyncio.run(await_signal(None)), TypeError, r"^await_signal\(\): .* not a NoneType"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- inside


def test_a_signal_is_asked_for(sandbox):
    expression = "assert wait_signal({}) == {{'ok': [1, None, '$x']}}"
    value = [{"ok": True}, {"ok": [1, None, "$x"]}]
    longest = "é" * 64
    assert asked_for(sandbox, expression.format("'approval'"), value) == {"op": "signal.wait", "name": "approval"}
    assert asked_for(sandbox, expression.format(f"{longest!r}, 0"), value) == {
        "op": "signal.wait",
        "name": longest,
        "timeout_ns": 0,
    }
    assert asked_for(sandbox, expression.format(r"'a\"\n', timeout='3d'"), value) == {
        "op": "signal.wait",
        "name": 'a"\n',
        "timeout_ns": 3 * 86400 * 10**9,
    }


@pytest.mark.parametrize("value", [None, 0, "text", [], {"$bytes": "AQ=="}])
def test_values_are_plain_json(sandbox, value):
    source = "@task\ndef t():\n    return [wait_signal('a')]\n"
    assert answer_of(sandbox, source, [{"ok": True}, value])[0] == [value]


@pytest.mark.parametrize(
    ("timeout", "words"), [("'3d'", "3d"), ("1.5", "1.5 s"), ("datetime.timedelta(minutes=2)", "120 s")]
)
@pytest.mark.parametrize("call", ["def t():\n    wait_signal", "async def t():\n    await await_signal"])
def test_no_signal_in_time(sandbox, timeout, words, call):
    error, _ = answer_of(sandbox, f"@task\n{call}('go', {timeout})\n", TIMED_OUT)
    assert (error["type"], error["class"], error["retry"]) == ("task_error", "SignalTimeout", False)
    assert error["message"] == f"no signal 'go' came within {words}"
    assert error["traceback"].endswith(f"\ncapsule.SignalTimeout: no signal 'go' came within {words}\n")
    assert "_waiting" not in error["traceback"]


def test_the_timeout_is_caught(sandbox):
    source = """
@task
def t():
    try: wait_signal("go", 1)
    except TimeoutError as e: return [type(e) is SignalTimeout, e.name]
"""
    assert answer_of(sandbox, source, TIMED_OUT)[0] == [True, "go"]


def test_a_run_that_is_not_recorded(sandbox):
    source = """
@task
def t():
    try: wait_signal("go")
    except TaskError as e: return [e.type, e.message, str(e)]
"""
    message = "this run isn't recorded"
    assert answer_of(sandbox, source, NOT_RECORDED)[0] == ["policy", message, f"policy: {message}"]
    for call in ("def t(): wait_signal", "async def t(): await await_signal"):
        error, _ = answer_of(sandbox, f"@task\n{call}('go')\n", NOT_RECORDED)
        assert (error["type"], error["message"], error["retry"]) == ("policy", message, False)


def test_awaiting_several_at_once(sandbox):
    source = """
@task
async def t():
    return await asyncio.gather(asleep(1), await_signal('a'), asleep('1h'), await_signal('b', timeout=5))
"""
    replies = [DONE, [{"ok": True}, "A"], DONE, [{"ok": True}, "B"]]
    result, answer = answer_of(sandbox, source, *replies)
    assert result == [None, "A", None, "B"]
    assert [header["op"] for header, _ in answer["submitted"]] == ["sleep", "signal.wait", "sleep", "signal.wait"]
    assert answer["cancelled"] == []


def test_cancelling_a_coroutine_cancels_its_operation(sandbox):
    source = """
@task
async def t():
    seen = []
    for wait in (asleep("7d"), await_signal("a")):
        waiting = asyncio.create_task(wait)
        await asyncio.sleep(0)
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            seen.append("cancelled")
    return seen
"""
    result, answer = answer_of(sandbox, source, None, None)
    assert (result, answer["cancelled"]) == (["cancelled", "cancelled"], [1, 2])


def test_the_first_of_two(sandbox):
    source = """
@task
async def t():
    waits = [asyncio.create_task(await_signal("a")), asyncio.create_task(asleep("1h"))]
    done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for one in rest: one.cancel()
    await asyncio.wait(rest)
    return [one.result() for one in done]
"""
    result, answer = answer_of(sandbox, source, [{"ok": True}, "came"], None)
    assert (result, answer["cancelled"]) == (["came"], [2])


def test_a_signal_that_comes_as_its_wait_is_cancelled_is_kept(sandbox):
    source = """
@task
async def t():
    waiting = asyncio.create_task(await_signal("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it has come, and `waiting` hasn't run yet
    waiting.cancel()
    await asyncio.wait([waiting])
    return [waiting.cancelled(), await await_signal("a"), await await_signal("a")]
"""
    result, answer = answer_of(sandbox, source, [{"ok": True}, 1], [{"ok": True}, 2])
    assert result == [True, 1, 2]
    assert len(answer["submitted"]) == 2


def test_a_signal_that_is_quicker_than_the_cancellation_is_kept(sandbox):
    source = """
@task
async def t():
    from capsule import _operations
    waiting = asyncio.create_task(await_signal("a"))
    await asyncio.sleep(0)
    _operations.cancel = lambda op: None  # comes too late
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0)
    return [waiting.cancelled(), await await_signal("a"), await await_signal("a")]
"""
    result, _ = answer_of(sandbox, source, [{"ok": True}, 1], [{"ok": True}, 2])
    assert result == [True, 1, 2]


def test_other_tasks_go_on(sandbox):
    source = """
@task
async def t():
    seen = []
    async def other():
        for i in range(3):
            seen.append(i)
            await asyncio.sleep(0)
    await asyncio.gather(other(), asleep("7d"))
    return seen
"""
    assert answer_of(sandbox, source, DONE)[0] == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "instead"), [("sleep('7d')", "capsule.asleep(…)"), ("wait_signal('a')", "capsule.await_signal(…)")]
)
def test_blocking_in_a_coroutine_is_refused_at_once(sandbox, call, instead):
    error, answer = answer_of(sandbox, f"@task\nasync def t():\n    await {call}\n")
    assert error["class"] == "RuntimeError"
    assert error["message"].endswith(f"write: await {instead}")
    assert answer["submitted"] == []


def test_a_def_task_runs_a_loop_of_its_own(sandbox):
    source = "@task\ndef t():\n    sleep(1)\n    asyncio.run(asleep(1))\n    sleep(1)\n    return 'slept'\n"
    result, answer = answer_of(sandbox, source, DONE, DONE, DONE)
    assert (result, len(answer["submitted"])) == ("slept", 3)


@pytest.mark.parametrize(
    "call", ["sleep(1)", "wait_signal('a')", "asyncio.run(asleep(1))", "asyncio.run(await_signal('a'))"]
)
def test_not_while_a_module_is_imported(sandbox, call):
    answer = sandbox(HEAD + call + "\n")
    error = answer["load"]["error"]
    assert error["class"] == "RuntimeError"
    assert "was called while a module is imported" in error["message"]
    assert answer["submitted"] == []


@pytest.mark.parametrize("call", ["sleep(1)", "wait_signal('a')"])
def test_another_error_of_the_host(sandbox, call):
    error, _ = answer_of(sandbox, f"@task\ndef t():\n    {call}\n", CANCELLED)
    assert (error["class"], error["message"], error["retry"]) == ("TaskError", "cancelled: cancelled", False)


# --- outside


def test_sleeping_outside_is_real():
    begin = time.monotonic()
    assert sleep("20ms") is None
    assert sleep(0.02) is None
    assert sleep(datetime.datetime.now(UTC) + datetime.timedelta(milliseconds=20)) is None
    assert time.monotonic() - begin >= 0.055
    sleep(datetime.datetime(2000, 1, 1, tzinfo=UTC))


def test_sleeping_outside_in_coroutines():
    async def main():
        waits = [asleep("30ms"), asleep(0), asleep(datetime.datetime(2000, 1, 1, tzinfo=UTC)), asleep("10ms")]
        order = []

        async def noted(i, wait):
            await wait
            order.append(i)

        await asyncio.gather(*(noted(i, wait) for i, wait in enumerate(waits)))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asleep("7d"), 0.01)
        return order

    assert asyncio.run(main())[-2:] == [3, 0]


def test_there_are_no_signals_outside():
    with pytest.raises(RuntimeError, match=r"capsule\.wait_signal\('go'\): signals reach runs of `capsule run` alone"):
        wait_signal("go", timeout="3d")
    with pytest.raises(RuntimeError, match=r"in the place of await_signal, such as by monkeypatch"):
        asyncio.run(await_signal("go"))


def test_signal_timeout():
    error = SignalTimeout("approval")
    assert (error.name, str(error)) == ("approval", "no signal 'approval' came in time")
    assert isinstance(error, (TimeoutError, capsule.NonRetryable))
    assert SignalTimeout.__module__ == sleep.__module__ == "capsule"
    assert {"SignalTimeout", "asleep", "await_signal", "sleep", "wait_signal"} <= set(capsule.__all__)


def test_errors_that_tell_of_a_resumed_run_are_not_retried():
    for kind in ("interrupted", "diverged"):
        assert capsule.TaskError("x", type=kind, retry=True)._retry is False
