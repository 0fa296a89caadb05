"""Runs the guest side of the `capsule` package in this process, with a host made of canned replies.

usage: fake_sandbox.py < request.json > answer.json
request: {"project": folder, "entry": path, "path": [...], "calls": [{"task", "args", "kwargs", …}], "replies": [...]}
answer:  {"load": reply, "calls": [{"header", "body"}], "submitted": [[header, body]], "cancelled": [op],
          "output": text of stdout}
A reply, in the order in which operations are submitted, is [header, body]; null: it isn't done until it's cancelled.
"""

import io
import json
import sys
import types

request = json.load(sys.stdin)
answer_to = sys.stdout
printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
sys.stdout = printed
sys.platform = "wasi"  # what the standard library looks at


def pack(header, body):
    head = json.dumps(header, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "little") + head + body


class Host(types.ModuleType):
    """`_capsule` with canned replies."""

    def __init__(self):
        super().__init__("_capsule")
        self.submitted = []
        self.done = {}
        self.told = set()
        self.cancelled = []

    def submit(self, header, body):
        self.submitted.append((json.loads(header), body.decode()))
        op = len(self.submitted)
        reply = request["replies"].pop(0)
        if reply is not None:
            self.done[op] = pack(reply[0], json.dumps(reply[1]).encode())
        return op

    def wait(self, ops, timeout_ns):
        return next((i for i, op in enumerate(ops) if op in self.done), -1)

    def next(self, timeout_ns):
        news = [op for op in self.done if op not in self.told]
        assert news or timeout_ns >= 0, "the guest waits for ever"
        self.told.update(news)
        return news

    def cancel(self, op):
        self.cancelled.append(op)
        if op not in self.done:
            self.done[op] = pack({"ok": False, "error": {"type": "cancelled", "message": "cancelled"}}, b"")

    def take(self, op):
        self.told.discard(op)
        return self.done.pop(op)

    def fuel_left(self):
        return 1000

    def reseed(self, generators):
        for one in generators:
            one.seed()
            one.setstate((3, (*one.getstate()[1][:-1], 624), None))

    def immortalise(self, objects):
        """Only a cost."""


host = sys.modules["_capsule"] = Host()

from capsule import _host  # noqa: E402

_host.PROJECT = request["project"]

from capsule import _boot  # noqa: E402

_boot.boot()

from capsule import _guest  # noqa: E402

HEADER = {"run_id": "run", "task_id": "t1", "attempt": 1, "key": "key-1", "outer": True, "tagged": False}


def call(one):
    body = json.dumps([one.get("args", []), one.get("kwargs", {})]) if "body" not in one else one["body"]
    header = HEADER | {k: v for k, v in one.items() if k not in ("args", "kwargs", "body")}
    reply = _guest.call(json.dumps(header), body)
    if isinstance(reply, str):
        return {"header": {"ok": True, "tagged": False}, "body": json.loads(reply)}
    return {"header": json.loads(reply[0]), "body": json.loads(reply[1]) if reply[1] else None}


load = {"entry": request["entry"], "module": request.get("module", "main"), "path": request["path"]}
answer = {"load": json.loads(_guest.load(json.dumps(load | {"cwd": request["project"]})))}
answer["calls"] = [call(one) for one in request.get("calls", [])] if answer["load"]["ok"] else []
answer["submitted"] = host.submitted
answer["cancelled"] = host.cancelled
printed.flush()
answer["output"] = printed.buffer.getvalue().decode()
answer_to.write(json.dumps(answer))
