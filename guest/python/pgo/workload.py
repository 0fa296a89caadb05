"""What the guest's profile is made from, together with some of CPython's own tests: the kind of work that
tasks do. Balanced by hand: each part runs for about a second in the counting build."""

from __future__ import annotations

import asyncio
import base64
import collections
import csv
import dataclasses
import datetime
import functools
import hashlib
import heapq
import io
import itertools
import json
import random
import re
import string
import textwrap
import time
import urllib.parse
import zlib

rng = random.Random(20)
words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 10))) for _ in range(2000)]
text = " ".join(rng.choices(words, k=20_000))


def numbers() -> None:
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    fib(22)
    total = 0.0
    for i in range(200_000):
        total += (i * 7 % 13) / 3 - (i >> 2) + (i & 255)
    sieve = bytearray([1]) * 100_000
    for i in range(2, 317):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, 100_000, i)))
    pow(3, 20_000) % (2**521 - 1)


def mandelbrot() -> None:
    for y in range(40):
        for x in range(40):
            z, c = 0j, complex(x / 20 - 1.5, y / 20 - 1)
            for _ in range(50):
                if abs(z) > 2:
                    break
                z = z * z + c


def strings() -> None:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    lines = [f"{word:<12}|{count:>6}|{count / 7:.3f}" for word, count in counts.items()]
    "\n".join(lines).upper().replace("A", "ä").encode().decode().splitlines()
    textwrap.fill(text[:5000], 72)
    for word in words:
        word.strip("abc").title().partition("e")
        word.startswith("a") or word.find("zz") >= 0 or word.isalpha()
    "%s %d %r" % ("x", 3, words[:5])


def containers() -> None:
    rows = [{"id": i, "name": words[i % 2000], "score": rng.random()} for i in range(10_000)]
    rows.sort(key=lambda row: (row["name"], -row["score"]))
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["name"][0]].append(row["score"])
    {key: sum(values) / len(values) for key, values in groups.items()}
    collections.Counter(text).most_common(5)
    queue = collections.deque(range(1000))
    queue.rotate(17)
    heap: list[float] = []
    for row in rows[:5000]:
        heapq.heappush(heap, row["score"])
    [heapq.heappop(heap) for _ in range(2000)]
    set(words) & {word[::-1] for word in words} | {word[:3] for word in words}
    list(itertools.islice(itertools.permutations(range(8)), 5000))
    [(a, b) for a, b in zip(words, words[1:]) if a < b]


def documents() -> None:
    data = [{"id": i, "tags": words[i : i + 5], "ok": i % 3 == 0, "x": i / 7, "none": None} for i in range(1500)]
    for _ in range(3):
        encoded = json.dumps(data)
        json.loads(encoded)
    json.dumps(data, indent=2, sort_keys=True)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([d["id"], *d["tags"], d["x"]] for d in data)
    list(csv.DictReader(io.StringIO(out.getvalue())))
    blob = encoded.encode()
    zlib.decompress(zlib.compress(blob))
    base64.b64decode(base64.b64encode(blob))
    hashlib.sha256(blob).hexdigest()


def patterns() -> None:
    for pattern in (r"\b(\w)(\w+)\1\b", r"[aeiou]{2,}", r"(?P<a>\w+) (?P<b>\w+)", r"(foo|ba[rz])+?x"):
        compiled = re.compile(pattern)
        compiled.findall(text)
        compiled.sub(lambda match: match[0].upper(), text[:20_000])
    re.split(r"\s+", text)
    [urllib.parse.urlsplit(f"http://h.example/{w}?q={w}#f").query for w in words]


@dataclasses.dataclass(order=True)
class Point:
    x: float
    y: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)

    def moved(self, by: float) -> Point:
        return dataclasses.replace(self, x=self.x + by)

    @property
    def length(self) -> float:
        return (self.x**2 + self.y**2) ** 0.5


class Base:
    def __init__(self, value: int) -> None:
        self.value = value

    def step(self) -> int:
        return self.value + 1


class Derived(Base):
    def step(self) -> int:
        return super().step() * 2


def objects() -> None:
    points = [Point(i % 17, i / 3).moved(0.5) for i in range(3000)]
    points.sort()
    sum(point.length for point in points)
    things: list[Base] = [Derived(i) if i % 2 else Base(i) for i in range(1000)]
    for _ in range(30):
        for thing in things:
            thing.value = thing.step() % 1000
            isinstance(thing, Derived)
            getattr(thing, "missing", None)


def control() -> None:
    def generate(n: int):
        for i in range(n):
            try:
                if i % 50 == 0:
                    raise ValueError(i)
                yield i
            except ValueError as error:
                yield len(str(error))
            finally:
                pass

    @functools.lru_cache(maxsize=500)
    def cached(a: int, *rest: int, **options: int) -> int:
        return a + sum(rest) + sum(options.values())

    for i in generate(30_000):
        cached(i % 700, 1, 2, k=3)
        match (i % 4, i):
            case (0, x) if x > 10:
                pass
            case (1 | 2, _):
                pass
            case _:
                pass


async def coroutines() -> None:
    async def child(n: int) -> int:
        await asyncio.sleep(0)
        return n

    for _ in range(20):
        await asyncio.gather(*(child(n) for n in range(200)))


def dates() -> None:
    start = datetime.datetime(2024, 1, 1)
    for i in range(5000):
        moment = start + datetime.timedelta(hours=i)
        datetime.datetime.fromisoformat(moment.isoformat()).strftime("%Y-%m-%d")


def sources() -> None:
    """Compiling and running source text: what importing the user's modules costs."""
    with open(dataclasses.__file__, encoding="utf-8") as file:
        source = file.read()
    for _ in range(3):
        compile(source, "x.py", "exec")
    for i in range(300):
        exec(f"def f{i}(a, b={i}):\n    return [a + x for x in range(b)]\nf{i}(1)", {})


def main() -> None:
    parts = [numbers, mandelbrot, strings, containers, documents, patterns, objects, control, dates, sources]
    for part in [*parts, lambda: asyncio.run(coroutines())]:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            part()


if __name__ == "__main__":
    main()
