"""A guest that speaks to the host without the package: operations made of whatever comes to hand."""

import json
import random

from capsule import task

OPS = ["task.call", "http.request", "http.read", "http.write", "http.close", "bogus", None, 5]
KEYS = ["method", "url", "headers", "timeout_ms", "redirects", "stream", "upload", "length", "request", "max", "end"]
KEYS += ["task", "tagged"]
VALUES = [None, True, -1, 0, 1, 2**31, 2**32, 2**63, 2**64, 1.5, "", "x", "GET", "http://127.0.0.1:1/"]
VALUES += ["http://10.0.0.1", "\x00", "ü" * 10, [], {}, [[]], [["a", "b"]], [["a"]], [["a", 1]], [["Host", "x"]]]
VALUES += [[["A", "b\r\nc"]], {"a": 1}, "victim"]
BODIES = [b"", b"[]", b"[[],{}]", b"\xff" * 1000]


@task
def victim(*args, **kwargs):
    return 1


@task(compute="HIGH", allowed_hosts=["127.0.0.1:1"], max_retries=0)
def main(seed: int, rounds: int) -> dict[str, int]:
    """How often each kind of answer came."""
    import _capsule

    dice, ops, seen = random.Random(seed), [], {}

    def count(what):
        seen[what] = seen.get(what, 0) + 1

    def take(timeout_ns):
        for op in _capsule.next(timeout_ns):
            reply = _capsule.take(op)
            n = int.from_bytes(reply[:4], "little")
            header = json.loads(reply[4 : 4 + n])
            error = header.get("error", {})
            count("ok" if header["ok"] else f"{error['type']} {error.get('kind', '')}".strip())

    for _ in range(rounds):
        header = {"op": dice.choice(OPS)}
        if dice.random() < 0.5:
            header |= {"method": "GET", "url": "http://127.0.0.1:1/", "headers": []}
        header |= {key: dice.choice(VALUES) for key in dice.sample(KEYS, dice.randint(0, 6))}
        if ops and dice.random() < 0.5:
            header["request"] = dice.choice(ops)
        try:
            ops.append(_capsule.submit(json.dumps(header).encode(), dice.choice(BODIES)))
        except ValueError:
            count("refused")
        if dice.random() < 0.3:
            try:
                _capsule.cancel(dice.choice([*ops, 0, 2**32 - 1]))
            except LookupError:
                count("unknown")
        if dice.random() < 0.3:
            take(0)
    for _ in range(5):
        take(100_000_000)
    return seen
