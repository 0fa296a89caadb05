"""The guest side of the package: load, call, errors, what is refused. Natively, with a fake host."""

import json

import pytest

HEAD = "from capsule import NonRetryable, TaskError, context, task\n"


def one(sandbox, body, *args, decorator="@task", head="", **keywords):
    """The reply of a task `t` with this body."""
    source = (
        HEAD
        + head
        + f"\n{decorator}\ndef t(*args, **kwargs):\n"
        + "".join(f"    {line}\n" for line in body.splitlines())
    )
    call = {"task": "t", "args": list(args)}
    answer = sandbox(source, {**call, **keywords.pop("call", {})}, **keywords)
    assert answer["load"]["ok"], answer["load"]
    return answer["calls"][0] | {"answer": answer}


def error_of(reply):
    assert reply["header"]["ok"] is False, reply
    assert reply["body"] is None
    return reply["header"]["error"]


# --- loading


def test_registry(sandbox):
    source = HEAD + "from helpers import helper\n\n@task(compute=7, ram='lots')\nasync def main():\n    pass\n"
    files = {
        "helpers.py": "import capsule\nclass C:\n    @capsule.task(name='h')\n    def helper(): 1\nhelper=C.helper\n"
    }
    load = sandbox(source, files=files)["load"]
    assert load["ok"]
    helper, main = load["tasks"]
    assert (helper["name"], helper["qualname"], helper["line"]) == ("h", "C.helper", 3)
    assert helper["file"].endswith("/helpers.py")
    assert (main["name"], main["line"], main["async"]) == ("main", 4, True)
    assert main["options"] == {"compute": 7, "ram": "lots"}


@pytest.mark.parametrize(
    ("source", "name", "message", "shown"),
    [
        ("x = (1,\ny = 2\n", "SyntaxError", "'(' was never closed", 'File "main.py", line 1'),
        ("\n1 / 0\n", "ZeroDivisionError", "division by zero", 'File "main.py", line 2, in <module>\n    1 / 0'),
        ("import no_such\n", "ModuleNotFoundError", "No module named 'no_such'", 'File "main.py", line 1, in <module>'),
        ("import helper\n", "KeyError", "'k'", 'File "helper.py", line 1, in <module>'),
        ("import sys\nsys.exit(3)\n", "SystemExit", "3", 'File "main.py", line 2'),
        (
            "class E(Exception):\n    def __str__(self): 1 / 0\nraise E\n",
            "E",
            "its __str__ raised ZeroDivisionError",
            "line 3",
        ),
        ("from capsule import task\n@task(rma=1)\ndef f(): pass\n", "TypeError", "did you mean 'ram'?", "line 2"),
        ("from capsule import task\n@task\ndef f(): pass\nf()\n", "RuntimeError", "can't call tasks", "line 4"),
    ],
)
def test_load_errors(sandbox, source, name, message, shown):
    load = sandbox(source, files={"helper.py": "{}['k']\n"})["load"]
    error = load["error"]
    assert load["ok"] is False
    assert (error["type"], error["class"], error["retry"]) == ("import_error", name, False)
    assert message in error["message"]
    assert shown in error["traceback"]
    for ours in ("capsule/", "importlib", "fake_sandbox"):
        assert ours not in error["traceback"]


@pytest.mark.parametrize(
    ("entry", "module", "name"),
    [("main.py", "main", "main"), ("json.py", "json", "__capsule_main__"), ("a-b.py", "a-b", "__capsule_main__")],
)
def test_module_name(sandbox, entry, module, name):
    source = (
        HEAD + "import sys\n@task\ndef t():\n    return [__name__, sys.modules[__name__].t is t, sys.argv[0][-7:]]\n"
    )
    answer = sandbox(source, {"task": "t"}, entry=entry, module=module)
    assert answer["calls"][0]["body"] == [name, True, f"/{entry}"[-7:]]


def test_own_module_comes_before_the_standard_library(sandbox):
    source = HEAD + "import statistics, json\n@task\ndef t():\n    return [statistics.mine, hasattr(json, 'mine')]\n"
    assert one_call(sandbox, source, files={"statistics.py": "mine = 1\n", "json/readme.txt": ""}) == [1, False]


def one_call(sandbox, source, **keywords):
    return sandbox(source, {"task": "t"}, **keywords)["calls"][0]["body"]


# --- calling


def test_arguments_and_result(sandbox):
    source = HEAD + "@task\ndef t(a, *, b=2):\n    return {'a': a, 'b': b}\n"
    answer = sandbox(source, {"task": "t", "args": [[1]]}, {"task": "t", "args": [None], "kwargs": {"b": "é"}})
    assert [c["body"] for c in answer["calls"]] == [{"a": [1], "b": 2}, {"a": None, "b": "é"}]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([], {}, "t(): missing a required argument: 'a'"),
        ([1, 2], {}, "t(): too many positional arguments"),
        ([1], {"c": 1}, "t(): got an unexpected keyword argument 'c'"),
        ([1], {"a": 1}, "t(): multiple values for argument 'a'"),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_arguments_that_do_not_fit(sandbox, args, kwargs, message, kind):
    call = {"task": "t", "args": args, "kwargs": kwargs}
    error = error_of(sandbox(HEAD + f"@task\n{kind} t(a): pass\n", call)["calls"][0])
    assert error == {"type": "bad_input", "message": message, "retry": False}


def test_a_type_error_inside_is_the_task_s_own(sandbox):
    error = error_of(one(sandbox, "len(3)"))
    assert (error["type"], error["class"], error["retry"]) == ("task_error", "TypeError", True)


@pytest.mark.parametrize("body", ["", "[1", "[[NaN], {}]", "[[], {}] x", "7", "[[]]", "{}"])
def test_malformed_arguments(sandbox, body):
    assert error_of(one(sandbox, "return 1", call={"body": body}))["type"] == "bad_input"


def test_unknown_task(sandbox):
    assert error_of(one(sandbox, "pass", call={"task": "no"}))["type"] == "not_found"


def test_tagged_arguments_and_results(sandbox):
    body = json.dumps([[{"$bytes": "AQ=="}, {"$$x": 1}], {}])
    reply = one(
        sandbox, "return [args[0] == b'\\1', args[1], args[0]]", call={"body": body, "tagged": True, "outer": False}
    )
    assert reply["header"] == {"ok": True, "tagged": True}
    assert reply["body"] == [True, {"$$x": 1}, {"$bytes": "AQ=="}]


def test_outer_result(sandbox):
    assert one(sandbox, "return {'b': b'\\1', 's': {2, 1}}")["body"] == {"b": "AQ==", "s": [1, 2]}


def test_bad_result(sandbox):
    error = error_of(one(sandbox, "return {'items': [0, {'price': float('nan')}]}"))
    assert error["type"] == "bad_output"
    assert error["message"] == "result.items[1].price: the number is NaN, which JSON doesn't have"


def test_result_that_is_too_long(sandbox):
    error = error_of(one(sandbox, "return [b'', 'x' * 70_000_000]"))
    assert error["type"] == "bad_output"
    assert "70 MB of JSON; a message holds 66 MB" in error["message"]


@pytest.mark.parametrize(
    ("body", "kind", "name", "message", "retry"),
    [
        ("raise ValueError('no')", "task_error", "ValueError", "no", True),
        ("raise NonRetryable('no')", "task_error", "NonRetryable", "no", False),
        ("class Mine(NonRetryable): pass\nraise Mine('no')", "task_error", "Mine", "no", False),
        ("raise MemoryError", "out_of_memory", None, "more memory than its ram option allows", True),
        ("raise SystemExit(2)", "task_error", "SystemExit", "2", True),
        ("raise KeyboardInterrupt", "task_error", "KeyboardInterrupt", "", True),
        ("raise GeneratorExit", "task_error", "GeneratorExit", "", True),
        ("def f(): f()\nf()", "task_error", "RecursionError", "maximum recursion depth", True),
        ("raise TaskError('no', type='policy')", "task_error", "TaskError", "policy: no", False),
        ("raise TaskError('no', type='timeout')", "task_error", "TaskError", "timeout: no", True),
        ("raise TaskError('no', retry=False)", "task_error", "TaskError", "no", False),
        ("raise Exception('\\ud800')", "task_error", "Exception", "?", True),
        ("e = OSError('no')\ne._capsule_type = 'policy'\nraise e", "policy", None, "no", False),
        ("e = OSError('no')\ne._capsule_type = 'host_error'\nraise e", "task_error", "OSError", "no", True),
    ],
)
def test_exceptions(sandbox, body, kind, name, message, retry):
    error = error_of(one(sandbox, body))
    assert (error["type"], error.get("class"), error["retry"]) == (kind, name, retry)
    assert message in error["message"]
    assert 'File "main.py", line' in error["traceback"]
    assert error["traceback"].startswith("Traceback (most recent call last):\n")
    for ours in ("_guest", "importlib", "fake_sandbox"):
        assert ours not in error["traceback"]


def test_traceback_is_python_s(sandbox):
    body = "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('no') from e"
    text = error_of(one(sandbox, body))["traceback"]
    assert "KeyError: 'k'\n\nThe above exception was the direct cause" in text
    assert text.endswith("ValueError: no\n")


def test_async_traceback_has_no_driver(sandbox):
    source = HEAD + "import asyncio\n@task\nasync def t():\n    await asyncio.sleep(0)\n    raise ValueError('no')\n"
    text = error_of(sandbox(source, {"task": "t"})["calls"][0])["traceback"]
    assert text.count("File ") == 1


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('x' * 10_000_000)",
        "raise ValueError('\\0' * 10_000_000)",
        "raise ValueError('é' * 10_000_000)",
        "raise type('E' * 1_000_000, (Exception,), {})('y')",
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
        "class E(Exception):\n    def __str__(self): return 3\nraise E",
        "class E(Exception):\n    def __getattr__(self, name): 1 / 0\nraise E",
        "e = None\nfor i in range(3000):\n    n = ValueError('x' * 1000)\n    n.__cause__ = e\n    e = n\nraise e",
        "e = ValueError()\ne.__cause__ = e\nraise e",
        "raise ExceptionGroup('g', [ValueError('a'), TypeError('b')])",
    ],
)
def test_monstrous_exceptions(sandbox, body):
    reply = one(sandbox, body)
    error = error_of(reply)
    assert error["type"] == "task_error"
    assert len(error["message"].encode()) <= 64 * 1024
    assert len(error["traceback"].encode()) <= 256 * 1024
    assert len(json.dumps(reply["header"], ensure_ascii=False).encode()) <= 1024 * 1024


def test_output_is_flushed(sandbox):
    assert one(sandbox, "print('é', end='')\nreturn 1")["answer"]["output"] == "é"


def test_closed_output(sandbox):
    assert one(sandbox, "import sys\nsys.stdout = None\nreturn 1")["body"] == 1


# --- the sandbox's own state


def test_environment_and_folder(sandbox):
    body = "import os\nreturn [dict(os.environ), os.getenv('A'), os.path.basename(os.getcwd())]"
    assert one(sandbox, body, call={"env": {"A": "b"}})["body"] == [{"A": "b"}, "b", "project"]
    assert one(sandbox, body)["body"] == [{}, None, "project"]


def test_context(sandbox):
    body = "c = context()\nassert c is context()\n"
    body += "return [c.run_id, c.task_id, c.task_name, c.attempt, c.idempotency_key, c.remaining_fuel, c.deadline]"
    call = {"attempt": 2, "deadline_ns": 1_700_000_000_000_001_000}
    expected = ["run", "t1", "t", 2, "key-1", 1000, "2023-11-14T22:13:20.000001+00:00"]
    assert one(sandbox, body, call=call)["body"] == expected
    assert one(sandbox, body)["body"][-1] is None


def test_randomness_is_seeded_anew_unless_the_user_seeded_it(sandbox):
    head = "import random\nown, fixed, ours = random.Random(), random.Random(5), random.Random()\nours.seed(1)\n"
    body = "return [random.random(), own.random(), own.gauss(0, 1), fixed.random(), ours.random()]"
    source = HEAD + head + f"@task\ndef t():\n    fixed.seed(5); ours.seed(1)\n    {body}\n"
    one, two = (c["body"] for c in sandbox(source, {"task": "t"}, {"task": "t"})["calls"])
    assert one[:3] != two[:3]
    assert one[3:] == two[3:]
    source = HEAD + "import random\nrandom.seed(3)\n@task\ndef t():\n    return random.random()\n"
    import random

    assert sandbox(source, {"task": "t"})["calls"][0]["body"] == random.Random(3).random()


def test_cached_names_are_forgotten(sandbox):
    head = "import tempfile, uuid\ntempfile.mktemp(dir='/tmp'); uuid.getnode(); uuid.uuid1()\n"
    body = "return [tempfile._name_sequence is None, uuid._node]"
    assert one(sandbox, body, head=head)["body"] == [True, None]


# --- what can't work


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("ssl", "capsule.http"),
        ("_ssl", "capsule.http"),
        ("multiprocessing", "put the work into a task"),
        ("multiprocessing.pool", "put the work into a task"),
        ("socket", "capsule.http"),
        ("_socket", "capsule.http"),
        ("subprocess", "put the work into a task"),
    ],
)
def test_refused_imports(sandbox, module, hint):
    load = sandbox(f"import {module}\n")["load"]
    assert load["error"]["class"] == "ModuleNotFoundError"
    assert hint in load["error"]["message"]
    assert load["error"]["traceback"].count("File ") == 1
    body = f"try:\n    import {module}\nexcept ImportError:\n    return 'none'"
    assert one(sandbox, body)["body"] == "none"


@pytest.mark.parametrize(
    ("body", "name", "hint"),
    [
        ("import asyncio.base_events as m\nm.socket.socket()", "OSError", "capsule.http"),
        ("import asyncio.base_events as m\nm.socket.create_connection(('a', 1))", "OSError", "capsule.http"),
        ("import asyncio.base_events as m\nm.socket.getaddrinfo('a', 1)", "OSError", "capsule.http"),
        ("import asyncio.base_events as m\nm.subprocess.run(['ls'])", "OSError", "put the work into a task"),
        ("import urllib.request as m\nm.urlopen('ftp://127.0.0.1/x')", "URLError", "capsule.http"),
        ("import os\nos.system('ls')", "OSError", "put the work into a task"),
        ("import os\nos.popen('ls')", "OSError", "put the work into a task"),
        ("import threading\nthreading.Thread(target=print).start()", "RuntimeError", "put the work into tasks"),
        ("import _thread\n_thread.start_new_thread(print, ())", "RuntimeError", "put the work into tasks"),
        (
            "from concurrent.futures import ThreadPoolExecutor as E\nE().submit(print)",
            "RuntimeError",
            "put the work into tasks",
        ),
        ("from concurrent.futures import ProcessPoolExecutor", "ModuleNotFoundError", "put the work into a task"),
        ("import asyncio\nasyncio.run(asyncio.open_connection('a', 1))", "OSError", "capsule.http"),
        ("import asyncio\nasyncio.run(asyncio.create_subprocess_exec('ls'))", "OSError", "put the work into a task"),
    ],
)
def test_refused_uses(sandbox, body, name, hint):
    error = error_of(one(sandbox, body))
    assert (error["class"], hint in error["message"]) == (name, True), error


def test_packages_may_import_what_they_do_not_use(sandbox, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "client.py").write_text("import socket, subprocess, asyncio\nsame = asyncio.base_events.socket is socket\n")
    source = HEAD + "import client\n@task\ndef t():\n    return client.same\n"
    assert sandbox(source, {"task": "t"}, path=[str(site)])["calls"][0]["body"] is True


@pytest.mark.parametrize("where", ["fast.cpython-313-other.so", "fast.cp313-win_amd64.pyd"])
def test_c_extension(sandbox, tmp_path, where):
    package = tmp_path / "site" / "quick"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import fast\n")
    (package / where).write_bytes(b"\x7fELF")
    source = HEAD + "@task\ndef t():\n    import quick\n"
    answer = sandbox(source, {"task": "t"}, path=[str(tmp_path / "site")])
    error = error_of(answer["calls"][0])
    assert error["class"] == "ModuleNotFoundError"
    assert f"quick.fast is a C extension ({where})" in error["message"]


def test_absent_part_of_the_standard_library(sandbox):
    load = sandbox("import msvcrt\n")["load"]
    assert "'msvcrt' is a part of Python that a sandbox doesn't have" in load["error"]["message"]


# --- tasks that call tasks

CHILD = HEAD + "@task\ndef child(price, **more): pass\n\n@task\nasync def achild(x): pass\n"
PLAIN = {"ok": True, "tagged": False}


def calling(sandbox, body, *replies, kind="def"):
    source = CHILD + f"import asyncio\n\n@task\n{kind} t():\n" + "".join(f"    {line}\n" for line in body.splitlines())
    answer = sandbox(source, {"task": "t"}, replies=replies)
    return answer["calls"][0], answer["submitted"]


def test_call(sandbox):
    reply, submitted = calling(sandbox, "return child(1, more='x')", [PLAIN, {"a": [2]}])
    assert reply["body"] == {"a": [2]}
    assert submitted == [[{"op": "task.call", "task": "child", "tagged": False}, '[[1],{"more":"x"}]']]


def test_call_with_tagged_values(sandbox):
    reply, submitted = calling(
        sandbox, "return child(b'x') == {b'y'}", [{"ok": True, "tagged": True}, {"$set": [{"$bytes": "eQ=="}]}]
    )
    assert reply["body"] is True
    assert submitted == [[{"op": "task.call", "task": "child", "tagged": True}, '[[{"$bytes":"eA=="}],{}]']]


def test_call_of_an_async_task(sandbox):
    assert calling(sandbox, "return await achild(1)", [PLAIN, 5], kind="async def")[0]["body"] == 5


def test_gather(sandbox):
    body = "return await asyncio.gather(achild(1), asyncio.sleep(0.01, 7), achild(2))"
    reply, submitted = calling(sandbox, body, [PLAIN, 5], [PLAIN, 6], kind="async def")
    assert reply["body"] == [5, 7, 6]
    assert len(submitted) == 2


def test_failed_child(sandbox):
    error = {
        "type": "task_error",
        "class": "ValueError",
        "message": "no",
        "traceback": "Traceback …\nValueError: no\n",
        "retry": True,
    }
    body = """try:
    child(1)
except TaskError as e:
    return [e.type, e.message, e.class_name, e.execution, e.traceback, e.task_name, str(e)]"""
    reply, _ = calling(sandbox, body, [{"ok": False, "error": {**error, "execution": {"retries": 1}}}, None])
    assert reply["body"] == [
        "task_error",
        "no",
        "ValueError",
        {"retries": 1},
        error["traceback"],
        "child",
        "task 'child' failed: ValueError: no",
    ]
    reply, _ = calling(sandbox, "child(1)", [{"ok": False, "error": error}, None])
    uncaught = error_of(reply)
    assert (uncaught["class"], uncaught["retry"]) == ("TaskError", True)
    assert "Inside task 'child':" in uncaught["traceback"]
    assert "capsule/" not in uncaught["traceback"]


@pytest.mark.parametrize(
    ("child", "retry"),
    [
        ({"type": "timeout", "retry": True}, True),
        ({"type": "timeout"}, True),
        ({"type": "out_of_fuel"}, False),
        ({"type": "policy", "retry": True}, False),
        ({"type": "cancelled"}, False),
        ({"type": "bad_output"}, False),
        ({"type": "task_error", "class": "NonRetryable", "retry": False}, False),
        ({"type": "task_error", "class": "TaskError", "retry": False}, False),
    ],
)
def test_uncaught_child_failure_is_retried_only_if_that_can_help(sandbox, child, retry):
    reply, _ = calling(sandbox, "child(1)", [{"ok": False, "error": {"message": "no", **child}}, None])
    assert error_of(reply)["retry"] is retry


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("child(float('nan'))", "argument price: the number is NaN"),
        ("child([1, {'a': object()}])", "argument price[1].a: an object object isn't a JSON value"),
        ("child(1, more=[1j])", "argument more[0]: a complex object isn't"),
        ("child(1, 2, {1, 1j})", ": a complex object isn't a JSON value"),
        ("child('x' * 70_000_000)", "70 MB of arguments"),
    ],
)
def test_arguments_that_can_not_cross(sandbox, call, message):
    body = f"try:\n    {call}\nexcept TaskError as e:\n    return [e.type, e.message]"
    kind, text = calling(sandbox, body)[0]["body"]
    assert kind == "bad_input"
    assert message in text


def test_nothing_can_wake_the_loop(sandbox):
    reply, _ = calling(sandbox, "await asyncio.get_running_loop().create_future()", kind="async def")
    assert "nothing can ever wake this event loop" in error_of(reply)["message"]


def test_coroutines_left_behind_are_cancelled(sandbox):
    body = """async def left():
    try:
        await asyncio.sleep(1000)
    finally:
        print("cancelled")
keep.append(asyncio.create_task(left()))
await asyncio.sleep(0)
return 1"""
    source = (
        HEAD + "import asyncio\nkeep = []\n@task\nasync def t():\n" + "".join(f"    {x}\n" for x in body.splitlines())
    )
    answer = sandbox(source, {"task": "t"})
    assert answer["calls"][0]["body"] == 1
    assert answer["output"] == "cancelled\n"


@pytest.mark.parametrize(
    "body", ["asyncio.run(f())", "asyncio.Runner().run(f())", "asyncio.new_event_loop().run_until_complete(f())"]
)
def test_asyncio_in_a_plain_task(sandbox, body):
    source = """async def f():
    async with asyncio.timeout(5), asyncio.TaskGroup() as g:
        one = g.create_task(asyncio.sleep(0.01, 4))
    return one.result()
"""
    assert calling(sandbox, source + f"return {body}")[0]["body"] == 4


# --- tasks beside one another


def lines(body):
    return "".join(f"    {line}\n" for line in body.splitlines())


def parallel(sandbox, body, *replies, kind="def"):
    source = CHILD + f"import asyncio\n\n@task\n{kind} t():\n" + lines(body)
    answer = sandbox(source, {"task": "t"}, replies=replies)
    return answer["calls"][0], answer


FAILED = {"ok": False, "error": {"type": "task_error", "class": "ValueError", "message": "no"}}
OPEN = None


def test_start(sandbox):
    body = "one, two = child.start(1), child.start(2, more=b'x')\nreturn [two.result(), one.result(), one.result()]"
    reply, answer = parallel(sandbox, body, [PLAIN, 5], [PLAIN, 6])
    assert reply["body"] == [6, 5, 5]
    assert [header["tagged"] for header, _ in answer["submitted"]] == [False, True]
    assert [text for _, text in answer["submitted"]] == ["[[1],{}]", '[[2],{"more":{"$bytes":"eA=="}}]']


def test_start_at_image_time(sandbox):
    for use in ("child.start(1)", "child.map([1])"):
        load = sandbox(CHILD + use)["load"]
        assert "can't call tasks" in load["error"]["message"]


def test_cancel(sandbox):
    body = "h = child.start(1)\nc = [h.done(), h.cancel(), h.done(), h.cancel()]\n"
    body += "try:\n    h.result()\nexcept TaskError as e:\n    return [*c, e.type, repr(h)]"
    reply, answer = parallel(sandbox, body, OPEN)
    assert reply["body"] == [False, True, True, False, "cancelled", "<handle of task 'child', failed>"]
    assert answer["cancelled"] == [1]


def test_cancelling_a_waiting_coroutine_cancels_its_operation(sandbox):
    body = """async def waits(awaitable):
    await awaitable
for awaitable in (achild(1), child.start(2), child.map([3, 4])):
    waiting = asyncio.create_task(waits(awaitable))
    await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
"""
    reply, answer = parallel(sandbox, body, OPEN, OPEN, OPEN, OPEN, kind="async def")
    assert reply["header"]["ok"], reply
    assert sorted(answer["cancelled"]) == [1, 2, 3, 4]


def test_a_late_reply_is_taken_and_dropped(sandbox):
    body = """import _capsule
waiting = asyncio.create_task(achild(1))
await asyncio.sleep(0.001)
waiting.cancel()
await asyncio.wait([waiting])
await asyncio.sleep(0.001)
from capsule import _operations
return [len(_capsule.done), _operations.expecting(), len(_operations._told), await achild(2)]"""
    assert parallel(sandbox, body, OPEN, [PLAIN, 7], kind="async def")[0]["body"] == [0, 0, 0, 7]


def test_news_of_others_are_not_lost(sandbox):
    """A map that blocks inside a coroutine hears of the operations that the event loop waits for, and the reverse."""
    body = """one, handle = asyncio.create_task(achild(1)), child.start(2)
await asyncio.sleep(0)
blocked = list(child.map([3, 4]))
lazy = child.map(iter([5, 6]))
return [blocked, await one, await handle, list(lazy)]"""
    replies = [[PLAIN, i] for i in range(10, 16)]
    assert parallel(sandbox, body, *replies, kind="async def")[0]["body"] == [[12, 13], 11, 10, [14, 15]]


def test_a_number_that_an_earlier_operation_had(sandbox):
    """Somebody took a reply past us after its operation had been told of."""
    body = "from capsule import _operations\n_operations._told.add(1)\nh = child.start(1)\n"
    body += "return [h.done(), h.cancel(), h.done(), len(_operations._told)]"
    assert parallel(sandbox, body, OPEN)[0]["body"] == [False, True, True, 0]


def test_map(sandbox):
    reply, answer = parallel(sandbox, "return child.map(range(3))", *([PLAIN, i] for i in "abc"))
    assert reply["body"] == ["a", "b", "c"]
    assert [text for _, text in answer["submitted"]] == ["[[0],{}]", "[[1],{}]", "[[2],{}]"]


def test_map_ends_with_its_first_failure(sandbox):
    body = "try:\n    child.map(range(5), concurrency=3)\nexcept TaskError as e:\n    return e.class_name"
    reply, answer = parallel(sandbox, body, OPEN, [FAILED, None], OPEN)
    assert reply["body"] == "ValueError"
    assert len(answer["submitted"]) == 3
    assert sorted(set(answer["cancelled"])) == [1, 3]


def test_map_with_an_argument_that_can_not_cross(sandbox):
    body = "try:\n    child.map([1, 2, 1j, 4])\nexcept TaskError as e:\n    return [e.type, e.message]"
    reply, answer = parallel(sandbox, body, OPEN, OPEN)
    assert reply["body"][0] == "bad_input"
    assert "argument price: a complex object" in reply["body"][1]
    assert sorted(answer["cancelled"]) == [1, 2]


def test_map_that_is_dropped(sandbox):
    body = "child.map(iter([1, 2]))\nreturn 1"
    _, answer = parallel(sandbox, body, OPEN, OPEN)
    assert sorted(answer["cancelled"]) == [1, 2]
    assert "nobody waited for its results" in answer["stderr"]


def test_more_than_the_host_keeps_open(sandbox):
    """The host refuses: start() waits until something is done."""
    body = """import _capsule
submit = _capsule.submit
def full(header, body):
    if len(_capsule.done) > 2:
        raise RuntimeError("too many operations are open at once")
    return submit(header, body)
from capsule import _operations
_operations._submit = full
return [h.result() for h in [child.start(i) for i in range(8)]]"""
    assert parallel(sandbox, body, *([PLAIN, i] for i in range(8)))[0]["body"] == list(range(8))


def test_functions_for_threads_run_on_the_loop(sandbox):
    body = """log = []
def work(x):
    log.append(x)
    return 1 / x
loop = asyncio.get_running_loop()
future = loop.run_in_executor(None, work, 2)
log.append("first")
never = loop.run_in_executor(None, work, 3)
never.cancel()
results = await asyncio.gather(future, asyncio.to_thread(work, 0), return_exceptions=True)
from concurrent.futures import Executor, Future, ThreadPoolExecutor
class Mine(Executor):
    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(["mine", function(*args)])
        return future
own = await loop.run_in_executor(Mine(), work, 4)
pool = await loop.run_in_executor(ThreadPoolExecutor(), work, 5)
return [log, [repr(r) for r in results], own, pool]"""
    assert parallel(sandbox, body, kind="async def")[0]["body"] == [
        ["first", 2, 0, 4, 5],
        ["0.5", "ZeroDivisionError('division by zero')"],
        ["mine", 0.25],
        0.2,
    ]
